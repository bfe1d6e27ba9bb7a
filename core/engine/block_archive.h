// Where prefix blocks are kept outside of the process: a folder, or a server of keys and values. An
// archive knows bytes under keys alone; what they mean is block_format.h's, and when they are read
// and written prefix_archiver.h's. Get and Forget are called by one thread, and Put by another one.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "core/base/status.h"

namespace lockstep {

// The name of a block's content: equal keys, equal bytes.
using BlockKey = std::array<uint8_t, 32>;

class BlockArchive {
 public:
  using Clock = std::chrono::steady_clock;
  // What is kept under the next key, whatever it is; false: no more.
  using Take = std::function<bool(std::span<const uint8_t> bytes)>;

  virtual ~BlockArchive() = default;
  // Calls `take` for one key after the other, up to the first of which nothing is kept, and for
  // none after the deadline. An error says that the medium fails, not that there is nothing.
  [[nodiscard]] virtual Status Get(std::span<const BlockKey> keys, Clock::time_point deadline,
                                   const Take& take) = 0;
  // Keeps the bytes, unless something is kept there. Whoever reads sees all of them or nothing.
  // Returns the number of bytes that were written.
  [[nodiscard]] virtual Result<size_t> Put(const BlockKey& key, std::span<const uint8_t> bytes) = 0;
  // Removes a block that is damaged, so that it can be put again.
  virtual void Forget(const BlockKey& key) = 0;
};

}  // namespace lockstep
