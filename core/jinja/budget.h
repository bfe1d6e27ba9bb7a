// What one run of a template may use up. A template comes from a model file and its input from a
// client, so neither is trusted to end, or to stay small. Belongs to one run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/memory_budget.h"
#include "core/base/trusted_text.h"
#include "core/jinja/failure.h"

namespace lockstep {

// Steps bound the time, depth the stack (the interpreter recurses), and bytes the memory. What a
// template frees is not given back to it: values are shared, so it is hard to say when one dies,
// and a limit on the sum bounds the time for copying, too.
struct TemplateLimits {
  size_t steps = 5'000'000;                // operations; those on large values count as several
  size_t depth = 500;                      // statements, expressions and calls within each other
  size_t output_bytes = size_t{16} << 20;  // the prompt's length
  size_t made_bytes = size_t{256} << 20;   // all strings and lists made on the way, freed or not
  // What they take is asked of this share beforehand, and given back at the end of the run. Null:
  // of none.
  MemoryBudget::Share* memory = nullptr;
};

namespace jinja {

class Budget {
 public:
  explicit Budget(const TemplateLimits& limits) : limits_(limits) {}
  Budget(const Budget&) = delete;  // what it holds is given back once
  Budget& operator=(const Budget&) = delete;
  ~Budget() {
    if (held_bytes_ > 0) limits_.memory->Force(limits_.memory->bytes() - held_bytes_);
  }

  void Step(size_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) Throw("it takes more than {} steps", limits_.steps);
  }
  // `size` bytes or items are read once. A step stands for about 64 bytes that are copied or
  // compared, so that a template which does few but large things pays for them.
  void Scan(size_t size) { Step(size / 64); }
  // Call it before the memory is taken. made_bytes_ never exceeds the limit, so the difference does
  // not wrap, as a sum could.
  void Make(size_t bytes) {
    if (bytes > limits_.made_bytes - made_bytes_) {
      Throw("it makes more than {} bytes of strings and lists", limits_.made_bytes);
    }
    made_bytes_ += bytes;
    Hold();
    Step(1 + bytes / 64);
  }
  // A product that 64 bits do not hold is more than any limit. REQUIRES: bytes_each > 0.
  void Make(size_t count, size_t bytes_each) {
    Make(count > SIZE_MAX / bytes_each ? SIZE_MAX : count * bytes_each);
  }
  // A refused step down is taken back at once: the guard (Deeper) whose constructor throws has no
  // destructor to do so.
  void Enter() {
    if (++depth_ > limits_.depth) {
      --depth_;
      Throw("its macros or expressions are nested more than {} deep", limits_.depth);
    }
  }
  void Leave() { --depth_; }
  const TemplateLimits& limits() const { return limits_; }

 private:
  // A text that grows has up to twice its size, as it is copied to where there is room for more.
  static constexpr size_t kGrowth = 2, kSlab = size_t{256} << 10;

  void Hold() {
    if (limits_.memory == nullptr || made_bytes_ * kGrowth <= held_bytes_) return;
    const size_t more = made_bytes_ * kGrowth + kSlab - held_bytes_;
    if (Status held = limits_.memory->Grow(more); !held)
      throw Failure{.message = {}, .refusal = std::move(held.error())};
    held_bytes_ += more;
  }

  const TemplateLimits limits_;
  size_t steps_ = 0;
  size_t made_bytes_ = 0;
  size_t held_bytes_ = 0;  // of the share
  size_t depth_ = 0;
};

// Text that grows at a budget's expense.
class Builder {
 public:
  // The budget must outlive it, and pays before the text grows.
  explicit Builder(Budget* budget) : budget_(budget) { budget_->Make(sizeof(TrustedText)); }

  void Append(std::string_view bytes, bool trusted) {
    budget_->Make(bytes.size());
    text_.Append(bytes, trusted);
  }
  void Append(const TrustedText& text) { AppendSlice(text, 0, text.size()); }
  void AppendSlice(const TrustedText& text, size_t begin, size_t end) {
    budget_->Make(end - begin + sizeof(TrustedText::Run));
    text_.AppendSlice(text, begin, end);
  }
  // Text of one byte is padding, mostly, and is appended as one run.
  void Repeat(const TrustedText& text, size_t count) {
    if (text.empty()) return;
    budget_->Make(count, text.size() + (text.runs().size() - 1) * sizeof(TrustedText::Run));
    if (text.size() == 1)
      return text_.Append(std::string(count, text.bytes()[0]), text.TrustedAt(0));
    for (; count > 0; --count) text_.Append(text);
  }
  const TrustedText& text() const { return text_; }
  TrustedText Take() { return std::move(text_); }

 private:
  Budget* budget_;
  TrustedText text_;
};

}  // namespace jinja
}  // namespace lockstep
