// Counts what it takes to compile a grammar, which nobody knows beforehand: between two slices it
// asks whether to go on, and no grammar may take more than a bound. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "core/base/status.h"

namespace lockstep {

class WorkMeter {
 public:
  // In units of WorkBudget: a slice takes some 3 ms, and the most some 5 s.
  static constexpr uint64_t kSlice = uint64_t{1} << 19;
  static constexpr uint64_t kMost = uint64_t{1} << 30;
  // Called behind each slice with all that was used so far. It may block, and so give way to
  // others; its error ends the work.
  using NextSlice = std::function<Status(uint64_t used)>;

  WorkMeter() = default;  // asks nobody
  explicit WorkMeter(NextSlice next_slice) : next_slice_(std::move(next_slice)) {}

  // An error says why the work must end, and is the same from then on.
  [[nodiscard]] Status Spend(uint64_t units) {
    used_ += units;
    if (used_ < asked_at_) return {};
    if (end_) return tl::unexpected<Error>(*end_);
    asked_at_ = used_ + kSlice;
    Status next = used_ > kMost ? TooMuch() : next_slice_ ? next_slice_(used_) : Status();
    if (next) return next;
    end_ = next.error();
    asked_at_ = 0;
    return next;
  }
  uint64_t used() const { return used_; }

 private:
  static Status TooMuch() {
    return Fail(ErrorKind::kInvalidArgument,
                "it takes too much work to compile as a grammar; make it smaller or simpler",
                "grammar");
  }

  NextSlice next_slice_;
  uint64_t used_ = 0, asked_at_ = kSlice;
  std::optional<Error> end_;
};

// Spends units of a meter, where there may be none.
[[nodiscard]] inline Status Spend(WorkMeter* meter, uint64_t units) {
  return meter == nullptr ? Status() : meter->Spend(units);
}

}  // namespace lockstep
