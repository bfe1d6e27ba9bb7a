// The address of a server of keys and values, as its own clients write it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace lockstep {

struct RedisAddress {
  std::string host;
  int port = 6379;
  int database = 0;
  std::string user, password;  // empty: none

  // Without user and password, for people and the log.
  std::string Text() const;
};

// redis://[[user]:password@]host[:port][/database], where %XX stands for a byte of user or
// password. valkey:// is the same. kInvalidArgument says what is wrong, and shows nothing of the
// password.
[[nodiscard]] Result<RedisAddress> ParseRedisUrl(std::string_view url);

}  // namespace lockstep
