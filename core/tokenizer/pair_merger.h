// The loop at the heart of both kinds of BPE: of all neighbouring pairs that may be merged, the one
// of least cost (the leftmost, if several cost the same) is merged until none is left. O(n log n)
// for n bytes, by a heap. Keeps its buffers from one text to the next; one thread at a time.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <vector>

namespace lockstep {

struct Symbol {
  uint32_t begin;  // in the text
  uint32_t size;   // in bytes, at least 1
  int32_t id;      // -1: no token
};

struct Merge {
  float cost;
  int32_t id;  // of the merged symbol; -1: the pair may not be merged
};

class PairMerger {
 public:
  void Clear() {
    sizes_.clear();
    ids_.clear();
  }

  // The text's symbols, from its front to its end. REQUIRES: size > 0; less than 2^31 in all.
  void Add(uint32_t size, int32_t id) {
    assert(size > 0);
    const uint32_t begin = text_size();
    sizes_.resize(begin + size);
    ids_.resize(begin + size);
    Set(begin, size, id);
  }

  // find(left, right) says what becomes of two neighbouring Symbols.
  template <class Find>
  void Run(const Find& find);

  // visit(symbol) for each Symbol of the text, in order.
  template <class Visit>
  void ForEach(const Visit& visit) const {
    for (uint32_t begin = 0; begin < text_size(); begin += sizes_[begin]) visit(At(begin));
  }

 private:
  static constexpr int32_t kInside = -2;
  struct Candidate {
    float cost;
    uint32_t begin;
    uint32_t size;  // of both symbols: another one shows that they have changed since
    int32_t id;
    // std heaps keep the greatest on top.
    bool operator<(const Candidate& other) const {
      return cost != other.cost ? cost > other.cost : begin > other.begin;
    }
  };

  uint32_t text_size() const { return static_cast<uint32_t>(sizes_.size()); }
  Symbol At(uint32_t begin) const { return {begin, sizes_[begin], ids_[begin]}; }
  void Set(uint32_t begin, uint32_t size, int32_t id) {
    sizes_[begin] = sizes_[begin + size - 1] = size;
    ids_[begin] = id;
  }

  // Adds the pair at `begin`, if it is one and may be merged.
  template <class Find>
  bool Consider(uint32_t begin, const Find& find) {
    const Symbol left = At(begin);
    if (begin + left.size == text_size()) return false;
    const Symbol right = At(begin + left.size);
    const Merge merge = find(left, right);
    if (merge.id < 0) return false;
    heap_.push_back({merge.cost, begin, left.size + right.size, merge.id});
    return true;
  }

  // A symbol's size stands at its first and at its last byte, so that both neighbours can be found;
  // its id, or kInside once it has become part of the symbol before it, at its first.
  std::vector<uint32_t> sizes_;  // [byte]
  std::vector<int32_t> ids_;     // [byte]
  std::vector<Candidate> heap_;
};

template <class Find>
void PairMerger::Run(const Find& find) {
  heap_.clear();
  heap_.reserve(sizes_.size());
  ForEach([&](const Symbol& symbol) { Consider(symbol.begin, find); });
  std::make_heap(heap_.begin(), heap_.end());

  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end());
    const Candidate best = heap_.back();
    heap_.pop_back();
    const uint32_t begin = best.begin;
    // A candidate is not taken out of the heap when one of its symbols changes. It is stale if its
    // left symbol has been merged into another, or if the sizes no longer add up: symbols only ever
    // grow, so the same size in all means the same two symbols.
    if (ids_[begin] == kInside) continue;
    const uint32_t middle = begin + sizes_[begin];
    if (middle == text_size() || sizes_[begin] + sizes_[middle] != best.size) continue;

    ids_[middle] = kInside;
    Set(begin, best.size, best.id);
    // The merged symbol makes new pairs with both neighbours. sizes_[begin - 1] is the size of the
    // symbol that ends there.
    if (begin > 0 && Consider(begin - sizes_[begin - 1], find)) {
      std::push_heap(heap_.begin(), heap_.end());
    }
    if (Consider(begin, find)) std::push_heap(heap_.begin(), heap_.end());
  }
}

}  // namespace lockstep
