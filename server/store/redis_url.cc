// What stands before the last @ may be a secret, so that no message quotes any of it.
#include "server/store/redis_url.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace lockstep {
namespace {

tl::unexpected<Error> Fail(std::string_view what) {
  return Fail(
      ErrorKind::kInvalidArgument,
      fmt::format("--prefix-store: {}; give redis://[[user]:password@]host[:port][/database]",
                  what),
      "prefix-store");
}

constexpr std::string_view kHostLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
// With a zone: fe80::1%eth0.
constexpr std::string_view kIpv6Letters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:.%-_";

std::optional<int> NumberOf(std::string_view text, int most) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.starts_with('-') ||
      number > most) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::string> Unescaped(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    unsigned byte = 0;
    const char* const digits = text.data() + i + 1;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
    i += 2;
  }
  return bytes;
}

}  // namespace

std::string RedisAddress::Text() const {
  const bool v6 = host.find(':') != host.npos;
  return fmt::format("{}{}{}:{}/{}", v6 ? "[" : "", host, v6 ? "]" : "", port, database);
}

Result<RedisAddress> ParseRedisUrl(std::string_view url) {
  if (url.starts_with("rediss://") || url.starts_with("valkeys://")) {
    return Fail("TLS is not spoken; put a proxy that does in between, such as stunnel");
  }
  const size_t scheme = url.find("://");
  if (scheme == url.npos ||
      (url.substr(0, scheme) != "redis" && url.substr(0, scheme) != "valkey")) {
    return Fail("the address does not begin with redis://");
  }
  url.remove_prefix(scheme + 3);
  RedisAddress address;
  if (const size_t at = url.rfind('@'); at != url.npos) {
    const std::string_view secret = url.substr(0, at);
    const size_t colon = secret.find(':');
    if (colon == secret.npos) return Fail("a user without a password");
    const auto user = Unescaped(secret.substr(0, colon));
    const auto password = Unescaped(secret.substr(colon + 1));
    if (!user || !password) return Fail("two hex digits must follow a % in user and password");
    address.user = *user;
    address.password = *password;
    url.remove_prefix(at + 1);
  }
  if (const size_t slash = url.find('/'); slash != url.npos) {
    const std::string_view database = url.substr(slash + 1);
    const auto number = database.empty() ? 0 : NumberOf(database, 1 << 20);
    if (!number) return Fail("what follows the / is no number of a database");
    address.database = *number;
    url = url.substr(0, slash);
  }
  if (const size_t end = url.starts_with('[') ? url.find(']') : url.npos; end != url.npos) {
    address.host = url.substr(1, end - 1);
    url.remove_prefix(end + 1);
    if (!url.empty() && !url.starts_with(':')) return Fail("only a port may follow the ]");
  } else {
    address.host = url.substr(0, url.find(':'));
    url.remove_prefix(address.host.size());
  }
  if (url.starts_with(':')) {
    const auto port = NumberOf(url.substr(1), 65535);
    if (!port || *port == 0) return Fail("the port is no number from 1 to 65535");
    address.port = *port;
  }
  if (address.host.empty()) return Fail("the host is missing");
  // Else it would be looked for in vain as long as the server runs.
  if (address.host.find_first_not_of(address.host.find(':') == std::string::npos
                                         ? kHostLetters
                                         : kIpv6Letters) != std::string::npos) {
    return Fail("the host is no name and no address");
  }
  return address;
}

}  // namespace lockstep
