#include "core/transformer/transformer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "tests/support/testable_kernels.h"
#include "tests/support/transformer_fixture.h"

namespace lockstep {
namespace {

TinyModelOptions OptionsFor(WeightType type) {
  TinyModelOptions options;
  options.type = type;
  options.layers = 2;
  options.ffn_dim = 160;
  options.vocab = 333;  // not a whole number of panels
  if (FileBlock(type) > 32) {
    options.dim = 256, options.head_dim = 64, options.ffn_dim = 512;
  }
  options.tied = type != WeightType::kQ8_0;
  return options;
}

// The plain path without a cache: for each position, everything again from the first token.
Logits Recompute(const TestModel& model, const std::vector<int32_t>& tokens) {
  Scratch scratch(model.config, 128, 128, kMaxThreads);
  ThreadPool pool(1);
  Logits logits;
  for (size_t n = 1; n <= tokens.size(); ++n) {
    KvCache kv = model.NewCache();
    const BatchEntry entry = {&kv, std::span(tokens).first(n), LogitRows::kLast};
    EXPECT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
    Append(scratch, logits);
  }
  return logits;
}

TEST(DeterminismTest, CachedEqualsUncachedBitForBit) {
  for (const WeightFormat& format : kWeightFormats) {
    const WeightType type = format.type;
    const TestModel model(OptionsFor(type));
    const std::vector<int32_t> tokens = model.Tokens(40);
    ExpectSameBits(Feed(model, tokens, 1), Recompute(model, tokens), Name(type));
  }
}

TEST(DeterminismTest, ChunksThreadsAndIsaChangeNoBit) {
  for (const WeightFormat& format : kWeightFormats) {
    const WeightType type = format.type;
    const std::string name = Name(type);
    const TestModel scalar(OptionsFor(type), ScalarKernels());
    const std::vector<int32_t> tokens = scalar.Tokens(80);
    const Logits expected = Feed(scalar, tokens, 80);
    for (const KernelTable* table : TestableKernels()) {
      const TestModel model(OptionsFor(type), *table);
      for (size_t chunk : {1, 7, 16, 64, 80}) {
        for (size_t threads : {1, 2, 3}) {
          // The slow ones, the reference and what may be emulated, on a few of the combinations.
          const bool slow = table->isa == std::string("scalar") || table->isa == std::string("amx");
          if (slow && (threads != 2 || (chunk != 7 && chunk != 80))) continue;
          ExpectSameBits(Feed(model, tokens, chunk, threads), expected,
                         name + ", " + table->isa + ", chunk " + std::to_string(chunk) +
                             ", threads " + std::to_string(threads));
        }
      }
    }
  }
}

TEST(DeterminismTest, AQuantizedCacheKeepsTheContractToo) {
  TinyModelOptions options = OptionsFor(WeightType::kQ4_0);
  options.head_dim = 32;
  const TestModel scalar(options, ScalarKernels());
  const std::vector<int32_t> tokens = scalar.Tokens(80);
  for (const KvType type : {KvType::kQ8_0, KvType::kQ4_0}) {
    const Logits expected = Feed(scalar, tokens, 80, 1, type);
    EXPECT_NE(expected, Feed(scalar, tokens, 80));
    for (const KernelTable* table : TestableKernels()) {
      const TestModel model(options, *table);
      for (size_t chunk : {1, 7, 80}) {
        ExpectSameBits(Feed(model, tokens, chunk, 2, type), expected,
                       std::string(table->isa) + ", " + Name(type));
      }
    }
  }
}

TEST(DeterminismTest, NeighboursInTheBatchChangeNoBit) {
  for (const WeightFormat& format : kWeightFormats) {
    const WeightType type = format.type;
    const TestModel alone(OptionsFor(type));
    const std::vector<int32_t> tokens = alone.Tokens(6);
    const Logits expected = Feed(alone, tokens, 1);
    for (const KernelTable* table : TestableKernels()) {
      const TestModel model(OptionsFor(type), *table);
      for (size_t neighbours : {3, 15}) {
        ExpectSameBits(FeedAmong(model, tokens, neighbours), expected,
                       std::string(Name(type)) + ", " + table->isa + ", " +
                           std::to_string(neighbours) + " neighbours");
      }
    }
  }
}

TEST(DeterminismTest, APrefixCopiedFromAnotherCacheChangesNoBit) {
  const TestModel model(OptionsFor(WeightType::kQ8_0));
  const std::vector<int32_t> tokens = model.Tokens(40);
  const Logits expected = Feed(model, tokens, 40);
  Scratch scratch(model.config, 128, 128, kMaxThreads);
  ThreadPool pool(1);
  KvCache other = model.NewCache(), kv = model.NewCache();
  BatchEntry entry = {&other, std::span(tokens).first(33), LogitRows::kNone};
  ASSERT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
  kv.CopyPrefixFrom(other, 21);
  entry = {&kv, std::span(tokens).subspan(21), LogitRows::kAll};
  ASSERT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
  Logits logits;
  Append(scratch, logits);
  ExpectSameBits(logits, Logits(expected.begin() + 21, expected.end()), "copied prefix");
}

TEST(DeterminismTest, AResetCacheIsAsGoodAsNew) {
  const TestModel model(OptionsFor(WeightType::kQ4_0));
  const std::vector<int32_t> first = model.Tokens(30, 1), second = model.Tokens(20, 2);
  const Logits expected = Feed(model, second, 20);
  Scratch scratch(model.config, 128, 128, kMaxThreads);
  ThreadPool pool(1);
  KvCache kv = model.NewCache();
  for (bool reset : {true, false}) {
    BatchEntry entry = {&kv, first, LogitRows::kNone};
    ASSERT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
    reset ? kv.Reset() : kv.Truncate(0);
    EXPECT_EQ(kv.length(), 0u);
    entry = {&kv, second, LogitRows::kAll};
    ASSERT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
    Logits logits;
    Append(scratch, logits);
    ExpectSameBits(logits, expected, reset ? "reset" : "truncated");
    kv.Reset();
  }
}

// The bits themselves are a promise: the same on every machine. Whoever changes them on purpose
// raises kNumericsVersion and writes the new digests down here.
TEST(DeterminismTest, LogitsHaveTheBitsOfThisNumericsVersion) {
  ASSERT_EQ(kNumericsVersion, 3);
  const std::map<std::string, uint64_t> digests = {
      {"F32", 14830224390180414060u},     {"F16", 11498455791304424472u},
      {"BF16", 3401763925526566790u},     {"Q8_0", 2818027701683904438u},
      {"Q4_0", 2277379084542804609u},     {"Q4_1", 11422752919857942309u},
      {"Q5_0", 17331704395118059630u},    {"Q5_1", 18127107830149847825u},
      {"Q2_K", 3921072772971448673u},     {"Q3_K", 3894781190711040270u},
      {"Q4_K", 4038659728151747762u},     {"Q5_K", 7660014038945196419u},
      {"Q6_K", 16484247930244452804u},    {"IQ4_NL", 4059667561831730559u},
      {"IQ4_XS", 13159927962482194194u},  {"MXFP4", 12110361365181734196u},
      {"NVFP4", 225625470258852564u},     {"Q1_0", 12594579213522968683u},
      {"Q2_0", 16917294839576651719u},    {"TQ1_0", 10035754150991297761u},
      {"TQ2_0", 261772435645745462u},     {"IQ1_S", 9963088508532028436u},
      {"IQ1_M", 4206862669405930899u},    {"IQ2_XXS", 2006753222866994826u},
      {"IQ2_XS", 10880979098001614162u},  {"IQ2_S", 1051427656849247103u},
      {"IQ3_XXS", 15981930256147458455u}, {"IQ3_S", 10911609768862390043u},
  };
  for (const WeightFormat& format : kWeightFormats) {
    ASSERT_TRUE(digests.contains(format.name)) << format.name;
    EXPECT_EQ(Digest(TestModel(OptionsFor(format.type)), 40), digests.at(format.name))
        << format.name;
  }
}

// Each position must see exactly the tokens up to it, at their absolute positions.
TEST(PositionTest, LogitsDependOnTheOrderOfEarlierTokensAndOnNoLaterOnes) {
  const TestModel model(OptionsFor(WeightType::kF32));
  std::vector<int32_t> tokens = model.Tokens(20);
  const Logits logits = Feed(model, tokens, 20);
  std::vector<int32_t> later = tokens;
  later[15] = (later[15] + 1) % 300;
  const Logits changed = Feed(model, later, 20);
  for (size_t i = 0; i < 15; ++i) EXPECT_EQ(logits[i], changed[i]) << i;
  for (size_t i = 15; i < 20; ++i) EXPECT_NE(logits[i], changed[i]) << i;
  std::vector<int32_t> swapped = tokens;
  std::swap(swapped[3], swapped[4]);
  EXPECT_NE(Feed(model, swapped, 20)[19], logits[19]);
}

// R1's other side: the fast path is right. Quantized activations and the f16 cache are the
// differences to the reference; the bounds are a few times what was seen.
TEST(ReferenceTest, LogitsAgreeWithDoublePrecision) {
  for (const WeightFormat& format : kWeightFormats) {
    const WeightType type = format.type;
    const double relative = RelativeError(TestModel(OptionsFor(type)), 48);
    const bool quantized = FileBlock(type) > 1;
    const double bound = quantized ? 0.06 : type == WeightType::kBF16 ? 0.02 : 2e-3;
    EXPECT_LT(relative, bound) << Name(type);
    RecordProperty(Name(type), std::to_string(relative));
  }
}

TEST(BoundsTest, ABadBatchIsRefusedAndChangesNoCache) {
  const TestModel model(OptionsFor(WeightType::kF32));
  Scratch scratch(model.config, 200, 2, kMaxThreads);
  ThreadPool pool(1);
  KvCache a = model.NewCache(), b = model.NewCache();
  const std::vector<int32_t> good = model.Tokens(100), long_text = model.Tokens(150);
  const std::vector<int32_t> past = {5, 333}, negative = {-1};
  const auto error = [&](std::vector<BatchEntry> batch) {
    const Status status = model.transformer->Forward(batch, scratch, pool);
    EXPECT_FALSE(status);
    EXPECT_EQ(a.length() + b.length(), 0u);
    return status ? Error{} : status.error();
  };
  EXPECT_EQ(error({{&a, good}, {&b, past}}).kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(error({{&a, good}, {&b, past}}).message.find("333"), std::string::npos);
  EXPECT_EQ(error({{&a, good}, {&b, negative}}).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(error({{&a, good}, {&b, {}}}).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(error({{&a, long_text}}).kind, ErrorKind::kContextExceeded);
  EXPECT_EQ(error({{&a, good, LogitRows::kAll}}).kind, ErrorKind::kInvalidArgument);

  // The last position of the context can be used, and nothing goes beyond it.
  BatchEntry entry = {&a, std::span(long_text).first(128), LogitRows::kLast};
  EXPECT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
  EXPECT_EQ(a.length(), 128u);
  entry.tokens = std::span(good).first(1);
  EXPECT_FALSE(model.transformer->Forward({&entry, 1}, scratch, pool));
  EXPECT_EQ(a.length(), 128u);
}

}  // namespace
}  // namespace lockstep
