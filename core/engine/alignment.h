// Follows a text that is written again with changes: a program in which a name is replaced, a
// document that is corrected, an item of a list that is like the one before. Where the new text
// leaves its source for a few tokens and comes back, what stood in the source and what stands in
// its place is a change that is remembered, and expected wherever the source has that token again.
// A source is followed behind a change at once, where a match of what both texts have in common
// must first grow again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace lockstep {

class Alignment {
 public:
  // Where the source goes on, and how many tokens of a change there were written. One that is
  // copied can be moved ahead of the text.
  struct Cursor {
    size_t source = 0;  // 0: nothing is followed
    size_t replaced = 0;
  };
  // An expected token, and what it rests on: how the source was followed of late, and whether the
  // source has left off, goes on, or has a change here that was seen once, or more often.
  static constexpr size_t kTrusts = 3, kGrounds = 4, kKinds = kTrusts * kGrounds;
  struct Expected {
    int32_t token;
    size_t kind;
  };

  void Reset();
  // The text goes on as it did behind `place` > 0.
  void Start(size_t place);
  const Cursor& cursor() const { return at_; }
  bool active() const { return at_.source != 0; }
  bool sure() const { return score_ >= kSure; }
  // What follows by the source; moves `cursor` behind it.
  // REQUIRES: active() and cursor->source < text.size().
  Expected Next(std::span<const int32_t> text, Cursor* cursor) const;
  // `token` comes behind `text`.
  void Follow(std::span<const int32_t> text, int32_t token);

 private:
  static constexpr size_t kMostTaken = 6, kMostWritten = 6, kSlots = 256;
  // A token as expected counts for one, another against four; below 0 the source is given up.
  static constexpr int kMostScore = 16, kSure = 12, kHalfSure = 6, kWrong = 4;

  // `taken` tokens of the source, of which the first is `key`, became the first `size` of `with`.
  struct Change {
    int32_t key = -1;
    uint8_t taken = 0, size = 0, seen = 0;
    std::array<int32_t, kMostWritten + 1> with{};
  };
  // A newer change takes the place of one that falls into the same slot.
  static size_t SlotOf(int32_t token) {
    return (static_cast<uint32_t>(token) * 0x9E3779B1u >> 24) % kSlots;
  }
  const Change* ChangeOf(int32_t token) const;
  // The two cases of Follow: the text was with its source until now, or it had left it.
  void Go(std::span<const int32_t> text, int32_t token);
  void Return(std::span<const int32_t> text, int32_t token);
  // The text leaves its source: `token` is not what stands there.
  void Leave(int32_t token);
  // What stood in the source from left_ to `to` became what was written meanwhile.
  void Remember(std::span<const int32_t> text, size_t to);
  void GiveUp();

  std::array<Change, kSlots> changes_{};
  Cursor at_;
  size_t left_ = 0;  // the place in the source that the text has left; 0: it has not
  std::array<int32_t, kMostWritten> wrote_{};  // since then, the first written_
  size_t written_ = 0;
  int score_ = 0;
};

}  // namespace lockstep
