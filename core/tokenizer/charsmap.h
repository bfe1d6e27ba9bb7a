// The normalization that a SentencePiece model carries (NFKC and the like): texts and what stands
// in their place, in SentencePiece's own binary form. Immutable after Create, so safe to share
// between threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"

namespace lockstep {

class Charsmap {
 public:
  // tokenizer.ggml.precompiled_charsmap; without it, all text stays as it is. A map by which a text
  // could grow more than 16-fold is refused: a client's megabyte must not become gigabytes.
  [[nodiscard]] static Result<Charsmap> Create(const GgufFile& file);

  struct Part {
    std::string_view normal;  // what stands for it; in `text` or in the map
    size_t size;              // bytes of `text`, at least 1
  };
  // What stands at the front of `text`: the longest text of the map, or else one character. A byte
  // that is not UTF-8 becomes U+FFFD. REQUIRES: !text.empty().
  Part Next(std::string_view text) const;

 private:
  uint32_t Root() const;
  bool GrowsLittle(uint32_t index, size_t depth) const;
  std::string_view Replacement(uint32_t leaf) const;
  // 0 beyond the end: a node that no byte leads to.
  uint32_t Node(size_t index) const { return index < nodes_.size() ? nodes_[index] : 0; }

  std::vector<uint32_t> nodes_;
  std::string replacements_;  // each ends in NUL
};

}  // namespace lockstep
