// A ring: a text grows at its end only, or is cut back a little where a guess was wrong, and what
// is far behind is not read any more.
#include "core/engine/hidden_trail.h"

#include <cassert>

namespace lockstep {

HiddenTrail::HiddenTrail(size_t capacity, size_t dim)
    : capacity_(capacity), dim_(dim), states_(capacity * dim) {}

void HiddenTrail::Put(size_t position, std::span<const float> state) {
  assert(state.size() == dim_ && capacity_ > 0);
  if (position < begin_ || position > end_) begin_ = position;
  end_ = position + 1;
  begin_ = std::max(begin_, end_ - std::min(end_, capacity_));
  std::ranges::copy(state, states_.begin() + static_cast<ptrdiff_t>(position % capacity_ * dim_));
}

std::span<const float> HiddenTrail::At(size_t position) const {
  assert(begin_ <= position && position < end_);
  return std::span(states_).subspan(position % capacity_ * dim_, dim_);
}

}  // namespace lockstep
