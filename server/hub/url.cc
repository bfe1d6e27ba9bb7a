// Reads only as much of RFC 3986 as hubs and mirrors send. A name and a password in an address are
// refused, since the address is shown in logs and the token has a variable of its own.
#include "server/hub/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/quoted.h"
#include "server/http/http_types.h"

namespace lockstep {
namespace {

std::string Encode(std::string_view text, std::string_view also_kept) {
  std::string out;
  for (const char c : text) {
    const bool kept = IsAlphanumeric(c) || also_kept.find(c) != also_kept.npos;
    out += kept ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// What an address may have as it stands; a '%' begins a byte that is encoded already.
constexpr std::string_view kKept = "-._~:/?[]@!$&'()*+,;=%";

Status Fail(std::string_view text, const char* why) {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("{} is no address to fetch from: {}", Quoted(text, 200), why));
}

Status ReadHost(std::string_view text, std::string_view authority, Url& url) {
  if (authority.find('@') != authority.npos) {
    return Fail("...@" + std::string(authority.substr(authority.rfind('@') + 1)),
                "a name or a password may not stand in it");
  }
  size_t end = authority.size();
  if (authority.starts_with('[')) {
    end = authority.find(']');
    if (end == authority.npos) return Fail(text, "a ] is missing");
    ++end;
  } else {
    end = std::min(end, authority.find(':'));
  }
  url.host = LowerCase(authority.substr(0, end));
  const std::string_view kept = url.host.starts_with('[') ? "[]:." : "-._";
  const bool fine = std::all_of(url.host.begin(), url.host.end(), [kept](char c) {
    return IsAlphanumeric(c) || kept.find(c) != kept.npos;
  });
  if (url.host.empty() || !fine) return Fail(text, "its host is no name");
  if (end == authority.size()) return {};
  const std::string_view port = authority.substr(end + 1);
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (authority[end] != ':' || error != std::errc() || stop != port.data() + port.size() ||
      url.port == 0) {
    return Fail(text, "its port is no number from 1 to 65535");
  }
  return {};
}

void SetTarget(std::string_view target, Url& url) {
  target = target.substr(0, target.find('#'));
  const size_t query = std::min(target.size(), target.find('?'));
  url.path = Encode(target.substr(0, query), kKept);
  if (!url.path.starts_with('/')) url.path.insert(0, "/");
  url.query = Encode(target.substr(query), kKept);
}

}  // namespace

std::string Url::Origin() const {
  const bool usual = port == (tls ? 443 : 80);
  return fmt::format("{}://{}{}", tls ? "https" : "http", host,
                     usual ? "" : fmt::format(":{}", port));
}

bool IsUrl(std::string_view text) {
  const std::string start = LowerCase(text.substr(0, 8));
  return start.starts_with("http://") || start == "https://";
}

Result<Url> ParseUrl(std::string_view text) {
  if (!IsUrl(text)) {
    TRY_OK(Fail(text, "it begins neither with https:// nor with http://"));
  }
  Url url;
  const size_t scheme = text.find("://");
  url.tls = scheme == 5;
  url.port = url.tls ? 443 : 80;
  const std::string_view rest = text.substr(scheme + 3);
  const size_t end = std::min(rest.size(), rest.find_first_of("/?#"));
  TRY_OK(ReadHost(text, rest.substr(0, end), url));
  SetTarget(rest.substr(end), url);
  return url;
}

Result<Url> ResolveUrl(const Url& base, std::string_view location) {
  if (location.starts_with("//")) {
    return ParseUrl((base.tls ? "https:" : "http:") + std::string(location));
  }
  // A colon before any slash is a scheme's, ours or another that ParseUrl refuses.
  if (const size_t colon = location.find(':');
      colon != location.npos && colon < location.find_first_of("/?#")) {
    return ParseUrl(location);
  }
  Url url = base;
  if (location.starts_with('?')) {
    url.query = Encode(location.substr(0, location.find('#')), kKept);
  } else if (location.starts_with('/')) {
    SetTarget(location, url);
  } else {
    SetTarget(base.path.substr(0, base.path.rfind('/') + 1) + std::string(location), url);
  }
  return url;
}

std::string EncodePath(std::string_view path) { return Encode(path, "-._~/"); }

}  // namespace lockstep
