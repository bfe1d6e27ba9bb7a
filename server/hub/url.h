// Addresses of files: http and https, as far as a download needs them. Values; stateless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace lockstep {

struct Url {
  bool tls = true;
  std::string host;        // as it is written: an IPv6 address has its brackets
  uint16_t port = 443;     // the scheme's where none is written
  std::string path = "/";  // percent-encoded, and so is the query
  std::string query;       // with its '?', or empty

  std::string Origin() const;  // "https://host", with the port where it is not the scheme's
  std::string Text() const { return Origin() + path + query; }
};

bool IsUrl(std::string_view text);  // begins with http:// or https://

// kInvalidArgument for another scheme, for a name and password, and for what is no address. The
// fragment is left away; bytes that may not stand in an address are encoded.
[[nodiscard]] Result<Url> ParseUrl(std::string_view text);

// What a header Location of an answer from `base` means, be it whole or relative.
[[nodiscard]] Result<Url> ResolveUrl(const Url& base, std::string_view location);

// A path's bytes for an address; '/' stays. PercentDecoded is the other way.
std::string EncodePath(std::string_view path);

}  // namespace lockstep
