#include "core/special_tokens.h"

#include <cassert>

namespace lockstep {

void SpecialTokenFinder::Add(std::string_view text, int32_t id) {
  assert(!text.empty());
  first_bytes_.set(static_cast<uint8_t>(text[0]));
  uint32_t node = 0;
  for (const char byte : text) {
    const auto [edge, is_new] =
        edges_.emplace(EdgeKey(node, byte), static_cast<uint32_t>(ids_.size()));
    if (is_new) ids_.push_back(-1);
    node = edge->second;
  }
  ids_[node] = id;
}

std::optional<SpecialTokenFinder::Match> SpecialTokenFinder::Next(std::string_view text,
                                                                  size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!first_bytes_[static_cast<uint8_t>(text[begin])]) continue;
    std::optional<Match> longest;
    uint32_t node = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      const auto edge = edges_.find(EdgeKey(node, text[i]));
      if (edge == edges_.end()) break;
      node = edge->second;
      if (ids_[node] >= 0) longest = Match{begin, i + 1, ids_[node]};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

}  // namespace lockstep
