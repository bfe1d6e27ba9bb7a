// Memory that requests must ask for before they take it, so that all of them together never hold
// more than was planned, whatever clients send. It is a sum of estimates and owns no memory itself.
// Thread-safe; a share is one thread's at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include "core/base/status.h"

namespace lockstep {

class MemoryBudget {
 public:
  explicit MemoryBudget(size_t bytes) : capacity_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;  // its shares know where it is
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // A part of the budget for as long as it lives.
  class Share {
   public:
    Share() = default;  // of no budget: as much as is asked for
    // The budget must outlive it; null is none. `beside` is what its holder has of the budget in
    // another share, for as long as this one lives.
    explicit Share(MemoryBudget* budget, size_t beside = 0) : budget_(budget), beside_(beside) {}
    Share(Share&& other) noexcept
        : budget_(other.budget_), beside_(other.beside_), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      Share old(std::move(other));  // what was held is given back here, by its end
      std::swap(budget_, old.budget_);
      std::swap(beside_, old.beside_);
      std::swap(bytes_, old.bytes_);
      return *this;
    }
    ~Share() { Force(0); }

    size_t bytes() const { return bytes_; }
    MemoryBudget* budget() const { return budget_; }
    // Becomes so many bytes. kOverloaded, and nothing changed, if the others leave too little, or
    // kInvalidArgument if the budget is too small even alone. Less always works.
    [[nodiscard]] Status Resize(size_t bytes);
    [[nodiscard]] Status Grow(size_t bytes) { return Resize(bytes_ + bytes); }
    // Becomes so many bytes that are in use already: they count even where the budget has no more.
    void Force(size_t bytes);

   private:
    MemoryBudget* budget_ = nullptr;
    size_t beside_ = 0, bytes_ = 0;
  };

  size_t used() const { return used_; }
  size_t capacity() const { return capacity_; }
  void SetCapacity(size_t bytes) { capacity_ = bytes; }
  bool overdrawn() const { return used_ > capacity_; }

 private:
  std::atomic<size_t> capacity_;
  std::atomic<size_t> used_{0};
};

}  // namespace lockstep
