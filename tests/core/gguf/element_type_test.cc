#include "core/gguf/element_type.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(ElementTypeTest, KnownTypesHaveTheirIdNameAndBlock) {
  const ElementType* q4_k = FindElementType(12);
  ASSERT_NE(q4_k, nullptr);
  EXPECT_STREQ(q4_k->name, "Q4_K");
  EXPECT_EQ(q4_k->block_elements, 256u);
  EXPECT_EQ(q4_k->block_bytes, 144u);
  EXPECT_EQ(q4_k->weight, WeightType::kQ4_K);
  ASSERT_NE(FindElementType(30), nullptr);
  EXPECT_STREQ(FindElementType(30)->name, "BF16");
}

TEST(ElementTypeTest, TypesThatAreNotRunAreKnownByName) {
  const ElementType* q8_k = FindElementType(15);
  ASSERT_NE(q8_k, nullptr);
  EXPECT_STREQ(q8_k->name, "Q8_K");
  EXPECT_EQ(q8_k->block_bytes, 292u);
  EXPECT_EQ(q8_k->weight, std::nullopt);
}

TEST(ElementTypeTest, RemovedAndUnknownTypesAreNotFound) {
  for (const uint32_t id : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, 1000u, 0xFFFFFFFFu}) {
    EXPECT_EQ(FindElementType(id), nullptr) << id;
  }
}

TEST(ElementTypeTest, EveryIdIsItsOwn) {
  size_t found = 0;
  for (uint32_t id = 0; id < 64; ++id) {
    const ElementType* type = FindElementType(id);
    if (type == nullptr) continue;
    ++found;
    EXPECT_EQ(type->id, id);
    if (type->weight) {
      EXPECT_STREQ(FormatOf(*type->weight).name, type->name);
    }
  }
  EXPECT_EQ(found, 35u);
}

}  // namespace
}  // namespace lockstep
