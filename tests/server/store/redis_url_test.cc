#include "server/store/redis_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RedisUrlTest, EachPartHasADefaultButTheHost) {
  const RedisAddress plain = ParseRedisUrl("redis://cache").value();
  EXPECT_EQ(plain.host, "cache");
  EXPECT_EQ(plain.port, 6379);
  EXPECT_EQ(plain.database, 0);
  EXPECT_EQ(plain.user + plain.password, "");
  const RedisAddress all = ParseRedisUrl("valkey://me:s3:cr%40t%2F@10.0.0.1:7000/12").value();
  EXPECT_EQ(all.host, "10.0.0.1");
  EXPECT_EQ(all.port, 7000);
  EXPECT_EQ(all.database, 12);
  EXPECT_EQ(all.user, "me");
  EXPECT_EQ(all.password, "s3:cr@t/");
  EXPECT_EQ(all.Text(), "10.0.0.1:7000/12");
  const RedisAddress v6 = ParseRedisUrl("redis://:p@ss@[::1]:1/").value();
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(v6.port, 1);
  EXPECT_EQ(v6.user, "");
  EXPECT_EQ(v6.password, "p@ss");
  EXPECT_EQ(v6.Text(), "[::1]:1/0");
  EXPECT_EQ(ParseRedisUrl("redis://[fe80::1%eth0]").value().host, "fe80::1%eth0");
  EXPECT_EQ(ParseRedisUrl("redis://My_cache-1.example.").value().host, "My_cache-1.example.");
}

TEST(RedisUrlTest, WhatIsWrongIsSaidWithoutThePassword) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "does not begin with redis://"},
      {"cache:6379", "does not begin with redis://"},
      {"http://:hunter2@cache", "does not begin with redis://"},
      {"rediss://:hunter2@cache", "TLS is not spoken"},
      {"redis://", "the host is missing"},
      {"redis://:hunter2@:6379", "the host is missing"},
      {"redis://hunter2@cache", "a user without a password"},
      {"redis://:hunter2%4@cache", "two hex digits"},
      {"redis://:hunter2%zz@cache", "two hex digits"},
      {"redis://:hunter2@cache:0", "the port is no number"},
      {"redis://:hunter2@cache:65536", "the port is no number"},
      {"redis://:hunter2@cache:", "the port is no number"},
      {"redis://:hunter2@cache/x", "no number of a database"},
      {"redis://:hunter2@cache/-1", "no number of a database"},
      {"redis://:hunter2@[::1]6379", "only a port"},
      {"redis://:hunter2@cache?ssl=true", "the host is no name"},
      {"redis://:hunter2@cache,other", "the host is no name"},
      {"redis://:hunter2@%2Frun%2Fredis.sock", "the host is no name"},
      {"redis://:hunter2@cache /0", "the host is no name"},
      {"redis://:hunter2@cache\n", "the host is no name"},
      {"redis://:hunter2@[::1 ]:6379", "the host is no name"},
  };
  for (const auto& [url, message] : cases) {
    const auto address = ParseRedisUrl(url);
    ASSERT_FALSE(address) << url;
    EXPECT_EQ(address.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(address.error().message, HasSubstr("--prefix-store: "));
    EXPECT_THAT(address.error().message, HasSubstr(message)) << url;
    EXPECT_THAT(address.error().message, Not(HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace lockstep
