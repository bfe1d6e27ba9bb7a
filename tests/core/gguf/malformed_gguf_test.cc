// Malformed model files, each through the whole of LoadModel: one sentence that names the file and
// the field, never a crash.

#include "tests/support/malformed_gguf.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <set>
#include <span>

#include "core/base/utf8.h"
#include "core/kernels/kernels.h"
#include "core/model/model.h"
#include "tests/support/random.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// One printable line.
void ExpectOneSentence(const std::string& message) {
  EXPECT_TRUE(IsUtf8(message));
  EXPECT_LT(message.size(), 800u);  // the longest lists all pre-tokenizers
  for (const char c : message) EXPECT_GE(static_cast<uint8_t>(c), 0x20) << message;
}

TEST(MalformedGgufTest, TheTableHasAll82Kinds) {
  std::set<int> numbers;
  for (const MalformedCase& c : MalformedGgufCases()) numbers.insert(c.number);
  EXPECT_EQ(numbers.size(), 82u);
  EXPECT_EQ(*numbers.begin(), 1);
  EXPECT_EQ(*numbers.rbegin(), 82);
}

TEST(MalformedGgufTest, TheFilesThatTheCasesStartFromLoad) {
  ThreadPool pool(1);
  GgufBuilder builder = TinyModelBuilder(MalformedBase());
  EXPECT_TRUE(LoadModel(builder.Build(), "spm", ScalarKernels(), pool));
  UseByteLevelBpe(builder);
  const auto model = LoadModel(builder.Build(), "bpe", ScalarKernels(), pool);
  EXPECT_TRUE(model) << model.error().message;
}

TEST(MalformedGgufTest, EachIsRefusedWithFileAndField) {
  ThreadPool pool(2);
  for (const MalformedCase& c : MalformedGgufCases()) {
    SCOPED_TRACE(fmt::format("{} {}", c.number, c.what));
    const TempFile file;
    c.make(file);
    const auto model = LoadModel(file.path(), ScalarKernels(), pool);
    if (c.message.empty()) {
      EXPECT_TRUE(model) << model.error().message;
      continue;
    }
    ASSERT_FALSE(model);
    const Error& error = model.error();
    EXPECT_EQ(error.kind, ErrorKind::kBadFile) << error.message;
    EXPECT_THAT(error.message, StartsWith(file.path() + ": "));
    for (const std::string& part : c.message) EXPECT_THAT(error.message, HasSubstr(part));
    ExpectOneSentence(error.message);
  }
}

// Loads or is refused in one sentence; the sanitizers watch for the rest.
bool LoadsCleanly(std::span<const uint8_t> bytes, ThreadPool& pool) {
  const auto model = LoadModel(bytes, "test.gguf", ScalarKernels(), pool);
  if (model) return true;
  EXPECT_EQ(model.error().kind, ErrorKind::kBadFile) << model.error().message;
  EXPECT_THAT(model.error().message, StartsWith("test.gguf: "));
  ExpectOneSentence(model.error().message);
  return false;
}

TEST(MalformedGgufTest, CutAnywhereInTheTables) {
  ThreadPool pool(1);
  const GgufBuilder builder = TinyModelBuilder(MalformedBase());
  const std::vector<uint8_t> bytes = builder.Build();
  const size_t tables = builder.BuildTables().size();
  for (size_t size = 0; size <= tables; ++size) {
    // A copy of just this size, so that a read beyond it is seen.
    const std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(LoadsCleanly(cut, pool)) << size;
  }
}

TEST(MalformedGgufTest, ABitFlippedInTheTables) {
  ThreadPool pool(1);
  const GgufBuilder builder = TinyModelBuilder(MalformedBase());
  const std::vector<uint8_t> original = builder.Build();
  const size_t bits = 8 * builder.BuildTables().size();
  Random random(2024);
  size_t refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::vector<uint8_t> bytes = original;
    const uint64_t bit = random.Below(bits);
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    if (!LoadsCleanly(bytes, pool)) ++refused;
  }
  // A flip in a token's text or score is often another valid file; one in a length is not.
  EXPECT_GT(refused, 200u);
  EXPECT_LT(refused, 1000u);
}

}  // namespace
}  // namespace lockstep
