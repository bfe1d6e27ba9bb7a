// A value that nothing can ever equal is refused here: the person who wrote it would otherwise see
// only that pages and clients are refused, each time.
#include "server/http/address_flags.h"

#include <string_view>

#include "core/base/quoted.h"
#include "server/http/http_types.h"

namespace lockstep {

std::string TakeAddress(std::string& host) {
  if (host.find('/') != host.npos) {
    return Quoted(host) +
           " is no address to listen on: leave out http:// and what is behind the name";
  }
  const bool bracketed = host.starts_with('[');
  if (bracketed && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const size_t colon = host.find(':');
  const bool has_port = colon != host.npos && host.find(':', colon + 1) == host.npos;
  if (has_port || host.find_first_of("[]") != host.npos) {
    return Quoted(host) + " has a port in it, which --port is for";
  }
  return {};
}

std::string TakeOrigin(std::string& origin) {
  if (origin == "*" || origin == "null") return {};
  std::string text = LowerCase(origin);
  if (text.ends_with('/')) text.pop_back();
  const size_t scheme = text.find("://");
  const std::string_view host =
      scheme == text.npos ? std::string_view() : std::string_view(text).substr(scheme + 3);
  if (scheme == 0 || host.empty() || host.find_first_of("/?#@* \t") != host.npos) {
    return Quoted(origin) +
           " is no origin, such as https://example.com or http://localhost:3000, without a path";
  }
  const std::string_view usual = text.starts_with("http://")    ? ":80"
                                 : text.starts_with("https://") ? ":443"
                                                                : "";
  if (!usual.empty() && text.ends_with(usual)) text.resize(text.size() - usual.size());
  origin = text;
  return {};
}

std::string CheckHostName(const std::string& host) {
  if (host == "*" || host.find_first_of("/?#@* \t") == host.npos) return {};
  return Quoted(host) + " is no name of a host: leave out http:// and what is behind the name";
}

}  // namespace lockstep
