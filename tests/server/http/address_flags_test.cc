#include "server/http/address_flags.h"

#include <gmock/gmock.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(AddressFlags, AnAddressMayHaveBracketsAndNothingElse) {
  for (const auto& [text, meant] :
       {std::pair("[::1]", "::1"), std::pair("::1", "::1"), std::pair("::", "::"),
        std::pair("127.0.0.1", "127.0.0.1"), std::pair("host", "host"),
        std::pair("fe80::1%eth0", "fe80::1%eth0")}) {
    std::string host = text;
    EXPECT_EQ(TakeAddress(host), "") << text;
    EXPECT_EQ(host, meant);
  }
  for (std::string host : {"http://127.0.0.1", "a/b"}) {
    EXPECT_THAT(TakeAddress(host), HasSubstr("leave out http://")) << host;
  }
  for (std::string host : {"127.0.0.1:9200", "[::1]:80", "host:"}) {
    EXPECT_THAT(TakeAddress(host), HasSubstr("--port")) << host;
  }
}

TEST(AddressFlags, AnOriginIsWrittenAsBrowsersSendIt) {
  for (const auto& [text, meant] :
       {std::pair("*", "*"), std::pair("null", "null"), std::pair("http://a.b", "http://a.b"),
        std::pair("http://a.b/", "http://a.b"), std::pair("HTTPS://A.b", "https://a.b"),
        std::pair("http://a:80", "http://a"), std::pair("https://a:443/", "https://a"),
        std::pair("http://a:443", "http://a:443"),
        std::pair("http://[::1]:3000", "http://[::1]:3000"),
        std::pair("chrome-extension://abc", "chrome-extension://abc")}) {
    std::string origin = text;
    EXPECT_EQ(TakeOrigin(origin), "") << text;
    EXPECT_EQ(origin, meant);
  }
  for (std::string origin : {"foo", "a.b:80", "http://", "://a", "http://a/b", "http://a?b",
                             "http://u@a", "http://*.a", "http://a b", "/"}) {
    EXPECT_THAT(TakeOrigin(origin), HasSubstr("is no origin")) << origin;
  }
}

TEST(AddressFlags, AHostHasNoScheme) {
  for (const char* host : {"*", "a.b", "a.b:80", "::1", "[::1]:80"}) {
    EXPECT_EQ(CheckHostName(host), "") << host;
  }
  for (const char* host : {"http://x/", "x/", "*.x", "x y"}) {
    EXPECT_THAT(CheckHostName(host), HasSubstr("is no name of a host")) << host;
  }
}

}  // namespace
}  // namespace lockstep
