// What one run of a template may use up. A template comes from a model file and its input from a
// client, so neither is trusted to end, or to stay small. Belongs to one run.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/jinja/failure.h"
#include "core/jinja/text.h"

namespace lockstep {

struct TemplateLimits {
  size_t steps = 5'000'000;                // operations; those on large values count as several
  size_t depth = 500;                      // of nested statements, expressions and macro calls
  size_t output_bytes = size_t{16} << 20;  // of the prompt
  size_t made_bytes = size_t{256} << 20;   // all strings and lists made on the way, freed or not
};

namespace jinja {

class Budget {
 public:
  explicit Budget(const TemplateLimits& limits) : limits_(limits) {}

  void Step(size_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) Throw("it takes more than {} steps", limits_.steps);
  }
  // `size` bytes or items are read once.
  void Scan(size_t size) { Step(size / 64); }
  // Call it before the memory is taken.
  void Make(size_t bytes) {
    if (bytes > limits_.made_bytes - made_bytes_) {
      Throw("it makes more than {} bytes of strings and lists", limits_.made_bytes);
    }
    made_bytes_ += bytes;
    Scan(bytes);
  }
  void Enter() {
    if (++depth_ > limits_.depth) {
      --depth_;
      Throw("its macros or expressions are nested more than {} deep", limits_.depth);
    }
  }
  void Leave() { --depth_; }
  const TemplateLimits& limits() const { return limits_; }

 private:
  const TemplateLimits limits_;
  size_t steps_ = 0;
  size_t made_bytes_ = 0;
  size_t depth_ = 0;
};

// Text that grows at a budget's expense.
class Builder {
 public:
  explicit Builder(Budget* budget) : budget_(budget) { budget_->Make(sizeof(Text)); }

  void Append(std::string_view bytes, bool trusted) {
    budget_->Make(bytes.size());
    text_.Append(bytes, trusted);
  }
  void Append(const Text& text) { AppendSlice(text, 0, text.size()); }
  void AppendSlice(const Text& text, size_t begin, size_t end) {
    budget_->Make(end - begin + sizeof(Text::Run));
    text_.AppendSlice(text, begin, end);
  }
  void Repeat(const Text& text, size_t count) {
    if (text.empty()) return;
    for (; count > 0; --count) Append(text);
  }
  const Text& text() const { return text_; }
  Text Take() { return std::move(text_); }

 private:
  Budget* budget_;
  Text text_;
};

}  // namespace jinja
}  // namespace lockstep
