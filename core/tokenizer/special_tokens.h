// Finds tokens that stand for their literal text, such as "<|user|>". Immutable once filled, so
// safe to share between threads.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/tokenizer/byte_trie.h"

namespace lockstep {

class SpecialTokenFinder {
 public:
  struct Match {
    size_t begin;
    size_t end;
    int32_t id;
  };

  void Add(std::string_view text, int32_t id);  // REQUIRES: !text.empty()
  // The first match that begins at or after `from`; of several that begin there, the longest.
  std::optional<Match> Next(std::string_view text, size_t from) const;

 private:
  ByteTrie texts_;
  std::bitset<256> first_bytes_;  // lets ordinary text pass quickly
};

}  // namespace lockstep
