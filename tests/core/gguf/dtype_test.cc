#include "core/gguf/dtype.h"

#include <gtest/gtest.h>

#include <string>

#include "core/kernels/packed_matrix.h"

namespace lockstep {
namespace {

TEST(DTypeTest, KnownTypesHaveTheirIdNameAndBlock) {
  const DTypeInfo* q4_k = FindDType(12);
  ASSERT_NE(q4_k, nullptr);
  EXPECT_STREQ(q4_k->name, "Q4_K");
  EXPECT_EQ(q4_k->block_elements, 256u);
  EXPECT_EQ(q4_k->block_bytes, 144u);
  EXPECT_TRUE(q4_k->supported);
  ASSERT_NE(FindDType(30), nullptr);
  EXPECT_STREQ(FindDType(30)->name, "BF16");
}

TEST(DTypeTest, RemovedAndUnknownTypesAreNotFound) {
  for (const uint32_t id : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, 1000u, 0xFFFFFFFFu}) {
    EXPECT_EQ(FindDType(id), nullptr) << id;
  }
}

TEST(DTypeTest, EveryIdIsItsOwn) {
  for (uint32_t id = 0; id < 64; ++id) {
    const DTypeInfo* type = FindDType(id);
    if (type != nullptr) {
      EXPECT_EQ(type->id, id);
    }
  }
}

// The kernels keep their own sizes; both must mean the same bytes of a file.
TEST(DTypeTest, SupportedTypesAgreeWithTheKernels) {
  size_t supported = 0;
  for (uint32_t id = 0; id < 64; ++id) {
    const DTypeInfo* type = FindDType(id);
    if (type == nullptr || !type->supported) continue;
    ++supported;
    bool found = false;
    for (size_t w = 0; w < kWeightTypes; ++w) {
      const WeightType weight = static_cast<WeightType>(w);
      if (std::string(Name(weight)) != type->name) continue;
      found = true;
      EXPECT_EQ(FileBlock(weight), type->block_elements);
      EXPECT_EQ(FileRowBytes(weight, 512), 512 / type->block_elements * type->block_bytes);
    }
    EXPECT_TRUE(found) << type->name;
  }
  EXPECT_EQ(supported, kWeightTypes);
}

}  // namespace
}  // namespace lockstep
