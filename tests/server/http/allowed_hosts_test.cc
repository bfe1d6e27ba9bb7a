#include "server/http/allowed_hosts.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(AllowedHostsTest, LoopbackIsAllowedByAnyNameThatNoStrangerOwns) {
  for (const char* host : {"localhost", "LocalHost:8080", "localhost.", "app.localhost:1",
                           "127.0.0.1", "127.0.0.1:80", "127.1.2.3", "[::1]", "[::1]:8080"}) {
    EXPECT_TRUE(IsAllowedHost(host, {})) << host;
  }
  for (const char* host : {"", "evil.example", "evil.example:8080", "localhost.evil.example",
                           "notlocalhost", "127.0.0.1.evil.example", "128.0.0.1", "10.0.0.1",
                           "[::2]", "[::1", "0.0.0.0", "127.0.0.1@evil.example"}) {
    EXPECT_FALSE(IsAllowedHost(host, {})) << host;
  }
}

TEST(AllowedHostsTest, OthersAreAllowedByName) {
  const std::vector<std::string> others = {"llm.example", "fd00::1", "proxy.example:443"};
  for (const char* host : {"llm.example", "LLM.example:8080", "[fd00::1]:80", "proxy.example"}) {
    EXPECT_TRUE(IsAllowedHost(host, others)) << host;
  }
  EXPECT_FALSE(IsAllowedHost("a.llm.example", others));
  EXPECT_FALSE(IsAllowedHost("", others));
  EXPECT_TRUE(IsAllowedHost("evil.example", {"*"}));
}

}  // namespace
}  // namespace lockstep
