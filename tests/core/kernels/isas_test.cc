#include "core/kernels/isas.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lockstep {
namespace {

TEST(IsasTest, ANameIsOnesAloneAndThatOfItsKernels) {
  std::set<std::string> names;
  for (const Isa& isa : Isas()) {
    EXPECT_TRUE(names.insert(isa.name).second) << isa.name;
    if (isa.runs_here()) {
      EXPECT_STREQ(isa.kernels().isa, isa.name);
    }
  }
}

TEST(IsasTest, TheLastIsScalarAndRunsEverywhere) {
  EXPECT_TRUE(Isas().back().runs_here());
  EXPECT_EQ(&Isas().back().kernels(), &ScalarKernels());
}

TEST(IsasTest, NamesAreASentencesPart) {
  const std::string names = IsaNames(), end = " or scalar";
  ASSERT_GT(names.size(), end.size());
  EXPECT_EQ(names.substr(names.size() - end.size()), end);
}

}  // namespace
}  // namespace lockstep
