#include "core/kernels/aligned_buffer.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace lockstep {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Pages of [p, p + bytes) that are in memory; -1 if the range is not mapped.
ptrdiff_t ResidentPages(const void* p, size_t bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  if (mincore(const_cast<void*>(p), bytes, pages.data()) != 0) return -1;
  return std::count_if(pages.begin(), pages.end(), [](unsigned char c) { return (c & 1) != 0; });
}

TEST(AlignedBufferTest, IsAlignedAndZeroAlsoWhereMemoryIsUsedAgain) {
  for (const size_t size :
       {size_t{1}, size_t{63}, 4 * kMiB / 10, kMiB / 2 - 1, kMiB / 2, kMiB / 2 + 1, 3 * kMiB}) {
    for (int round = 0; round < 2; ++round) {
      AlignedBuffer<float> buffer(size);
      ASSERT_EQ(buffer.size(), size);
      const size_t alignment = size * sizeof(float) >= 2 * kMiB ? 2 * kMiB : 64;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % alignment, 0u) << size;
      EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + size, [](float v) { return v == 0; }));
      std::fill(buffer.data(), buffer.data() + size, 1.0f);
    }
  }
  EXPECT_EQ(AlignedBuffer<float>(0).data(), nullptr);
}

TEST(AlignedBufferTest, ALargeOneTakesMemoryOnceTouchedAndGivesItBack) {
  const size_t bytes = 32 * kMiB;
  AlignedBuffer<uint8_t> buffer(bytes);
  const uint8_t* data = buffer.data();
  EXPECT_EQ(ResidentPages(data, bytes), 0);
  buffer[bytes - 1] = 7;
  EXPECT_GT(ResidentPages(data, bytes), 0);

  AlignedBuffer<uint8_t> other = std::move(buffer);
  EXPECT_EQ(other.data(), data);
  EXPECT_EQ(other[bytes - 1], 7);
  other = AlignedBuffer<uint8_t>();
  EXPECT_EQ(ResidentPages(data, bytes), -1);
}

TEST(AlignedBufferTest, WhatCannotBeHadIsBadAlloc) {
  EXPECT_THROW(AlignedBuffer<float>(SIZE_MAX / 4), std::bad_alloc);
  EXPECT_THROW(AlignedBuffer<uint8_t>(SIZE_MAX / 4), std::bad_alloc);
}

}  // namespace
}  // namespace lockstep
