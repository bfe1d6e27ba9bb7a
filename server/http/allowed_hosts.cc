// Only names that no stranger can own are let through by themselves: localhost and what is below it
// (RFC 6761), and numeric loopback addresses.
#include "server/http/allowed_hosts.h"

#include <arpa/inet.h>

#include <algorithm>

#include "server/http/http_types.h"

namespace lockstep {
namespace {

// Without port, brackets and the dot that ends an absolute name.
std::string_view NameOf(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == host.npos ? std::string_view() : host.substr(1, end - 1);
  }
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

bool EndsWithNoCase(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && EqualsNoCase(text.substr(text.size() - end.size()), end);
}

bool IsLoopback(std::string_view name) {
  if (EqualsNoCase(name, "localhost") || EndsWithNoCase(name, ".localhost")) return true;
  const std::string text(name);
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace

bool IsAllowedHost(std::string_view host, const std::vector<std::string>& others) {
  const std::string_view name = NameOf(host);
  return IsLoopback(name) ||
         std::any_of(others.begin(), others.end(), [name](const std::string& other) {
           // An IPv6 address may stand there without brackets, which it has no port behind.
           return other == "*" || EqualsNoCase(other, name) || EqualsNoCase(NameOf(other), name);
         });
}

}  // namespace lockstep
