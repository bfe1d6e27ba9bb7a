// The value of a Content-Type header. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

struct MediaType {
  std::string type;  // "application/json", in small letters
  // They stand in the order of the header: names in small letters, values without quotes.
  std::vector<std::pair<std::string, std::string>> parameters;

  // Whether the text behind it is UTF-8: no parameter says another charset, wherever it stands.
  bool IsUtf8() const;
};

// Nothing if the value is malformed; an empty one is.
std::optional<MediaType> ParseMediaType(std::string_view value);

}  // namespace lockstep
