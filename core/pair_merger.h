// The loop at the heart of both kinds of BPE: of all neighbouring pairs that may be merged, the one
// of least cost (the leftmost, if several cost the same) is merged until none is left. A heap over
// a linked list: O(n log n) for n symbols. Keeps its buffers between runs; one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace lockstep {

struct Symbol {
  uint32_t begin;  // in the text
  uint32_t size;   // in bytes; 0 once it is part of the symbol before it
  int32_t id;      // -1: no token
};

struct Merge {
  double cost;
  int32_t id;  // of the merged symbol; -1: the pair may not be merged
};

class PairMerger {
 public:
  void Clear() { symbols_.clear(); }
  void Add(Symbol symbol) { symbols_.push_back(symbol); }

  // find(left, right) says what becomes of two neighbours. Returns the symbols that remain, valid
  // until the next call. REQUIRES: fewer than 2^31 symbols.
  template <class Find>
  const std::vector<Symbol>& Run(const Find& find);

 private:
  struct Candidate {
    double cost;
    int32_t left;
    uint32_t size;  // of both symbols: another one shows that they have changed since
    int32_t id;
    // std heaps keep the greatest on top.
    bool operator<(const Candidate& other) const {
      return cost != other.cost ? cost > other.cost : left > other.left;
    }
  };

  template <class Find>
  void Consider(int32_t left, const Find& find) {
    if (left < 0 || next_[left] < 0) return;
    const Symbol& a = symbols_[left];
    const Symbol& b = symbols_[next_[left]];
    const Merge merge = find(a, b);
    if (merge.id >= 0) heap_.push_back({merge.cost, left, a.size + b.size, merge.id});
  }

  std::vector<Symbol> symbols_;
  std::vector<int32_t> previous_;  // [symbols_] index of the neighbour, -1 at the ends
  std::vector<int32_t> next_;
  std::vector<Candidate> heap_;
};

template <class Find>
const std::vector<Symbol>& PairMerger::Run(const Find& find) {
  const int32_t count = static_cast<int32_t>(symbols_.size());
  previous_.resize(symbols_.size());
  next_.resize(symbols_.size());
  for (int32_t i = 0; i < count; ++i) {
    previous_[i] = i - 1;
    next_[i] = i + 1 < count ? i + 1 : -1;
  }
  heap_.clear();
  for (int32_t i = 0; i + 1 < count; ++i) Consider(i, find);
  std::make_heap(heap_.begin(), heap_.end());

  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end());
    const Candidate best = heap_.back();
    heap_.pop_back();
    Symbol& left = symbols_[best.left];
    const int32_t right = next_[best.left];
    if (left.size == 0 || right < 0 || left.size + symbols_[right].size != best.size) continue;

    left.size = best.size;
    left.id = best.id;
    symbols_[right].size = 0;
    next_[best.left] = next_[right];
    if (next_[right] >= 0) previous_[next_[right]] = best.left;
    for (const int32_t changed : {previous_[best.left], best.left}) {
      const size_t before = heap_.size();
      Consider(changed, find);
      if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end());
    }
  }
  std::erase_if(symbols_, [](const Symbol& symbol) { return symbol.size == 0; });
  return symbols_;
}

}  // namespace lockstep
