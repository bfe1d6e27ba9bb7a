// One number that all threads add to. A share that cannot grow fails at once and waits for nobody:
// who waits holds memory itself, and two who wait for each other would wait for ever.
#include "core/base/memory_budget.h"

#include <fmt/format.h>

namespace lockstep {
namespace {

constexpr double kRetryS = 1;      // what most requests take to leave
constexpr size_t kIdleShare = 64;  // of the budget: more than what is held where nobody asks

// Rounded up, so that no request needs 0 of them.
size_t Mib(size_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }

}  // namespace

Status MemoryBudget::Share::Resize(size_t bytes) {
  if (budget_ == nullptr || bytes <= bytes_) {
    Force(bytes);
    return {};
  }
  const size_t own = bytes_ + beside_, more = bytes - bytes_, capacity = budget_->capacity_;
  size_t used = budget_->used_;
  do {
    if (used <= capacity && more <= capacity - used) continue;
    // To wait for others is in vain where it is too much alone, or beside the little that idle
    // connections hold.
    if (own + more > capacity || used <= own + capacity / kIdleShare) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("the request would take about {} MiB of memory, and all requests "
                              "together may take {}; send a smaller one, or start the server "
                              "with a larger --request-memory",
                              Mib(own + more), Mib(capacity)));
    }
    Error error{ErrorKind::kOverloaded,
                fmt::format("other requests hold the memory that this one needs, about {} "
                            "MiB; try again later",
                            Mib(bytes)),
                {},
                kRetryS};
    return tl::unexpected<Error>(std::move(error));
  } while (!budget_->used_.compare_exchange_weak(used, used + more));
  bytes_ = bytes;
  return {};
}

void MemoryBudget::Share::Force(size_t bytes) {
  // Modulo 2^64, so that it may become less.
  if (budget_ != nullptr) budget_->used_ += bytes - bytes_;
  bytes_ = bytes;
}

}  // namespace lockstep
