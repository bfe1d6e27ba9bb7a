// The pairs of tokens that BPE joins, and in which order: tokenizer.ggml.merges. Immutable after
// Load.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "core/tokenizer/pair_merger.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

class MergeTable {
 public:
  [[nodiscard]] Status Load(const GgufFile& file, const Vocabulary& vocabulary);
  // What becomes of two neighbours; its cost is the rank.
  Merge Find(const Symbol& left, const Symbol& right) const;

 private:
  std::unordered_map<uint64_t, Merge> merges_;  // by (left id << 32 | right id)
};

}  // namespace lockstep
