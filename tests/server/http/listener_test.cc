#include "server/http/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/server/http/raw_client.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(ListenerTest, TakesAFreePortAndSaysWhoCanReachIt) {
  for (const auto& [host, loopback] :
       {std::pair{"127.0.0.1", true}, {"localhost", true}, {"0.0.0.0", false}, {"::", false}}) {
    const auto listener = Listen(host, 0);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_GT(listener->port, 0);
    EXPECT_EQ(listener->loopback, loopback) << host;
    close(listener->socket);
  }
}

TEST(ListenerTest, EveryAddressIncludesThoseOfIpv4) {
  const auto listener = Listen("::", 0);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_TRUE(RawClient(listener->port).connected());  // to 127.0.0.1
  close(listener->socket);
}

TEST(ListenerTest, SaysWhyAnAddressCannotBeHad) {
  const auto first = Listen("127.0.0.1", 0);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = Listen("127.0.0.1", first->port);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("Address already in use"));
  EXPECT_THAT(second.error().message, HasSubstr("--port"));
  close(first->socket);
  for (const char* host : {"192.0.2.1", "no.such.host.invalid"}) {
    const auto elsewhere = Listen(host, 0);
    ASSERT_FALSE(elsewhere) << host;
    EXPECT_THAT(elsewhere.error().message, HasSubstr(host));
  }
}

TEST(ListenerTest, AnIpv6AddressHasBrackets) {
  EXPECT_EQ(HostAndPort("127.0.0.1", 80), "127.0.0.1:80");
  EXPECT_EQ(HostAndPort("::", 8080), "[::]:8080");
  EXPECT_EQ(HostAndPort("::1", 80), "[::1]:80");
}

}  // namespace
}  // namespace lockstep
