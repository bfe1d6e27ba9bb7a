// Finds tokens that stand for their literal text, such as "<|user|>". Immutable once filled, so
// safe to share between threads.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

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
  static constexpr uint64_t EdgeKey(uint32_t node, char byte) {
    return static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(byte);
  }

  // A trie, node 0 its root.
  std::unordered_map<uint64_t, uint32_t> edges_;
  std::vector<int32_t> ids_ = {-1};  // [node] the token whose text ends there, -1: none
  std::bitset<256> first_bytes_;     // lets ordinary text pass quickly
};

}  // namespace lockstep
