// From each byte at which a special token can begin, the trie is walked as far as it goes. Special
// tokens are short (the vocabulary limits them), so that this needs no automaton.
#include "core/tokenizer/special_tokens.h"

#include <cassert>

namespace lockstep {

void SpecialTokenFinder::Add(std::string_view text, int32_t id) {
  assert(!text.empty());
  first_bytes_.set(static_cast<uint8_t>(text[0]));
  texts_.Add(text, id);
}

std::optional<SpecialTokenFinder::Match> SpecialTokenFinder::Next(std::string_view text,
                                                                  size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!first_bytes_[static_cast<uint8_t>(text[begin])]) continue;
    std::optional<Match> longest;
    uint32_t node = ByteTrie::kRoot;
    for (size_t i = begin; i < text.size(); ++i) {
      node = texts_.Step(node, text[i]);
      if (node == ByteTrie::kNone) break;
      if (texts_.IdAt(node) >= 0) longest = Match{begin, i + 1, texts_.IdAt(node)};
    }
    // No later place can be the first match, so that the search ends here.
    if (longest) return longest;
  }
  return std::nullopt;
}

}  // namespace lockstep
