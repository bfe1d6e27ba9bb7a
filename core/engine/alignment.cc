// An edit script that is guessed while the text is written. The texts are aligned from the left, as
// by diff, but with nothing to look ahead to: behind a token that is not the source's, the text may
// be back at any of the next few tokens of the source, and the first that fits counts, one token
// for one before all others. Example, with `a` renamed:
//
//   source   x = a + 1 ; return a ;
//   text     x = b + 1 ; return       expected: b ;
//
// At b the source is left; at + the text is back, and the change a -> b is remembered. The next a
// of the source is expected to be b. A change that does not hold is forgotten.
#include "core/engine/alignment.h"

#include <algorithm>

namespace lockstep {

void Alignment::Reset() {
  changes_.fill({});
  GiveUp();
}

void Alignment::GiveUp() {
  at_ = {};
  left_ = written_ = 0;
  score_ = 0;
}

void Alignment::Start(size_t place) {
  at_ = {place, 0};
  left_ = written_ = 0;
  score_ = kMostScore / 2;
}

const Alignment::Change* Alignment::ChangeOf(int32_t token) const {
  const Change& change = changes_[SlotOf(token)];
  return change.key == token ? &change : nullptr;
}

Alignment::Expected Alignment::Next(std::span<const int32_t> text, Cursor* cursor) const {
  const size_t trust = score_ >= kSure ? 2 : score_ >= kHalfSure ? 1 : 0;
  const int32_t original = text[cursor->source];
  // Behind a token that was not the source's, one is taken to stand for one.
  const bool left = left_ != 0 && cursor->source == at_.source;
  const Change* const change = left ? nullptr : ChangeOf(original);
  if (change == nullptr) {
    ++cursor->source;
    return {original, (left ? 0 : kTrusts) + trust};
  }
  const int32_t token = change->with[cursor->replaced++];
  if (cursor->replaced == change->size) *cursor = {cursor->source + change->taken, 0};
  return {token, (change->seen > 1 ? 3 : 2) * kTrusts + trust};
}

void Alignment::Follow(std::span<const int32_t> text, int32_t token) {
  if (at_.source >= text.size()) return GiveUp();
  if (left_ != 0) return Return(text, token);
  Go(text, token);
}

void Alignment::Go(std::span<const int32_t> text, int32_t token) {
  const int32_t original = text[at_.source];
  Change* const change = ChangeOf(original) == nullptr ? nullptr : &changes_[SlotOf(original)];
  Cursor ahead = at_;
  if (Next(text, &ahead).token == token) {
    if (change != nullptr && ahead.replaced == 0) change->seen = 2;
    at_ = ahead;
    score_ = std::min(score_ + 1, kMostScore);
    return;
  }
  score_ -= kWrong;
  if (score_ < 0) return GiveUp();
  if (change != nullptr && at_.replaced == 0 && token == original) {
    change->key = -1;
    ++at_.source;
    return;
  }
  // What the change has in common with the text was written already.
  left_ = at_.source;
  written_ = change != nullptr ? at_.replaced : 0;
  if (change != nullptr) std::copy_n(change->with.begin(), written_, wrote_.begin());
  Leave(token);
}

void Alignment::Return(std::span<const int32_t> text, int32_t token) {
  const size_t last = std::min(left_ + kMostTaken, text.size() - 1);
  size_t back = left_ + written_;
  if (back > last || text[back] != token) {
    for (back = left_; back <= last && text[back] != token;) ++back;
  }
  if (back > last) return Leave(token);
  Remember(text, back);
  left_ = 0;
  at_ = {back + 1, 0};
}

void Alignment::Leave(int32_t token) {
  if (written_ == kMostWritten) return GiveUp();
  wrote_[written_++] = token;
  at_ = {left_ + written_, 0};
}

// An insertion has the token before which it stands with it.
void Alignment::Remember(std::span<const int32_t> text, size_t to) {
  Change& change = changes_[SlotOf(text[left_])];
  change = {text[left_], static_cast<uint8_t>(std::max<size_t>(to - left_, 1)), 0, 1, {}};
  for (size_t i = 0; i < written_; ++i) change.with[change.size++] = wrote_[i];
  if (to == left_) change.with[change.size++] = text[left_];
}

}  // namespace lockstep
