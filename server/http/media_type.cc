// The grammar is that of RFC 9110, 8.3.1 and 5.6.6:
//   media-type = type "/" subtype *( OWS ";" OWS [ name "=" ( token / quoted-string ) ] )
// A parameter may be left out between two semicolons, and a quoted string may hold semicolons and
// escaped quotes, so that the value cannot be split at semicolons first.
#include "server/http/media_type.h"

#include <algorithm>

#include "server/http/http_types.h"

namespace lockstep {
namespace {

void SkipSpaces(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
}

// What stands at the beginning of `rest`, maybe nothing, and is taken away from it.
std::string_view TakeToken(std::string_view& rest) {
  size_t n = 0;
  while (n < rest.size() && IsTokenCharacter(rest[n])) ++n;
  const std::string_view token = rest.substr(0, n);
  rest.remove_prefix(n);
  return token;
}

// REQUIRES: rest begins with a quote.
std::optional<std::string> TakeQuoted(std::string_view& rest) {
  std::string value;
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest[i] == '\\' && ++i == rest.size()) break;
    value += rest[i];
  }
  return std::nullopt;
}

}  // namespace

bool MediaType::IsUtf8() const {
  return std::all_of(parameters.begin(), parameters.end(), [](const auto& parameter) {
    return parameter.first != "charset" || EqualsNoCase(parameter.second, "utf-8") ||
           EqualsNoCase(parameter.second, "utf8");
  });
}

std::optional<MediaType> ParseMediaType(std::string_view value) {
  std::string_view rest = TrimSpaces(value);
  MediaType media;
  const std::string_view type = TakeToken(rest);
  if (type.empty() || !rest.starts_with('/')) return std::nullopt;
  rest.remove_prefix(1);
  const std::string_view subtype = TakeToken(rest);
  if (subtype.empty()) return std::nullopt;
  media.type = LowerCase(type) + "/" + LowerCase(subtype);
  for (;;) {
    SkipSpaces(rest);
    if (rest.empty()) return media;
    if (rest[0] != ';') return std::nullopt;
    rest.remove_prefix(1);
    SkipSpaces(rest);
    if (rest.empty() || rest[0] == ';') continue;
    const std::string_view name = TakeToken(rest);
    if (name.empty() || !rest.starts_with('=')) return std::nullopt;
    rest.remove_prefix(1);
    std::optional<std::string> text =
        rest.starts_with('"') ? TakeQuoted(rest) : std::string(TakeToken(rest));
    if (!text) return std::nullopt;
    media.parameters.emplace_back(LowerCase(name), *std::move(text));
  }
}

}  // namespace lockstep
