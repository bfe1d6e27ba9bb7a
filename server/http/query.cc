// Clients' libraries write queries as forms are written (the URL standard's urlencoded format): a
// plus is a space, and what is no escape stands for itself.
#include "server/http/query.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace lockstep {

std::string PercentDecoded(std::string_view text, char plus) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i] == '+' ? plus : text[i];
    }
  }
  return decoded;
}

std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    const size_t equals = std::min(pair.find('='), pair.size());
    if (!pair.empty()) {
      pairs.emplace_back(PercentDecoded(pair.substr(0, equals), ' '),
                         PercentDecoded(pair.substr(std::min(equals + 1, pair.size())), ' '));
    }
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return pairs;
}

}  // namespace lockstep
