// A set of byte strings, each with an id, walked byte by byte. Immutable once filled, so safe to
// share between threads.
#pragma once

#include <cassert>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lockstep {

class ByteTrie {
 public:
  static constexpr uint32_t kRoot = 0;
  static constexpr uint32_t kNone = UINT32_MAX;

  // REQUIRES: !text.empty(), id >= 0. The last of several equal texts counts.
  void Add(std::string_view text, int32_t id) {
    assert(!text.empty());
    uint32_t node = kRoot;
    for (const char byte : text) {
      const auto [edge, is_new] =
          edges_.emplace(EdgeKey(node, byte), static_cast<uint32_t>(ids_.size()));
      if (is_new) ids_.push_back(-1);
      node = edge->second;
    }
    ids_[node] = id;
  }

  // The node that `byte` leads to from `node`; kNone if there is none.
  uint32_t Step(uint32_t node, char byte) const {
    const auto edge = edges_.find(EdgeKey(node, byte));
    return edge == edges_.end() ? kNone : edge->second;
  }
  // The id of the text that ends at `node`; -1 if none does. REQUIRES: node != kNone.
  int32_t IdAt(uint32_t node) const { return ids_[node]; }

 private:
  // All edges are in one hash table, by node and byte. A vocabulary's trie has some hundred
  // thousand nodes with few edges each, so that a table of 256 for each node would take far more
  // memory.
  static constexpr uint64_t EdgeKey(uint32_t node, char byte) {
    return static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(byte);
  }

  std::unordered_map<uint64_t, uint32_t> edges_;
  std::vector<int32_t> ids_ = {-1};  // [node]
};

}  // namespace lockstep
