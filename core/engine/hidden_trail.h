// The hidden states of the last positions of a text, as a model left them: what a block that
// guesses ahead reads. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace lockstep {

class HiddenTrail {
 public:
  // Keeps up to `capacity` states of `dim` values.
  HiddenTrail() = default;
  HiddenTrail(size_t capacity, size_t dim);

  // The states that are kept are those of the positions from begin() to before end().
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }
  // The state of a position takes the place of what was there and behind it. Where those just
  // before it are not known, what was known of others goes: there are no gaps.
  void Put(size_t position, std::span<const float> state /* [dim] */);
  // REQUIRES: begin() <= position < end().
  std::span<const float> At(size_t position) const;
  void Clear() { begin_ = end_ = 0; }

 private:
  size_t capacity_ = 0, dim_ = 0;
  size_t begin_ = 0, end_ = 0;
  std::vector<float> states_;  // [capacity][dim], that of a position at its remainder
};

}  // namespace lockstep
