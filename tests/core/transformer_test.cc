#include "core/transformer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/kernels/cpu_features.h"
#include "core/kernels/dispatch.h"
#include "core/model.h"
#include "tests/support/random.h"
#include "tests/support/reference_model.h"
#include "tests/support/testable_kernels.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

constexpr size_t kMaxThreads = 3;
using Logits = std::vector<std::vector<float>>;

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,    DType::kBF16,  DType::kQ8_0,
                            DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0,  DType::kQ5_1,
                            DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,  DType::kQ5_K,
                            DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};

TinyModelOptions OptionsFor(DType type) {
  TinyModelOptions options;
  options.type = type;
  options.layers = 2;
  options.ffn_dim = 160;
  options.vocab = 333;  // not a whole number of panels
  if (FindDType(static_cast<uint32_t>(type))->block_elements == 256) {
    options.dim = 256, options.head_dim = 64, options.ffn_dim = 512;
  }
  options.tied = type != DType::kQ8_0;
  return options;
}

// A parsed file and the transformer made of it.
struct TestModel {
  explicit TestModel(const TinyModelOptions& options,
                     const KernelTable& kernels = *ChooseKernels("auto").kernels)
      : bytes(TinyModel(options)),
        file(GgufFile::Parse(bytes, "tiny").value()),
        config(ReadModelConfig(file).value()) {
    SetComputeFloatMode();
    ThreadPool pool(1);
    transformer =
        std::make_unique<Transformer>(config, LoadWeights(file, config, pool).value(), kernels);
  }
  KvCache NewCache() const { return KvCache::Create(config, 128).value(); }
  std::vector<int32_t> Tokens(size_t n, uint64_t seed = 5) const {
    Random random(seed);
    std::vector<int32_t> tokens(n);
    for (int32_t& t : tokens) t = static_cast<int32_t>(random.Below(config.vocab));
    return tokens;
  }

  std::vector<uint8_t> bytes;
  GgufFile file;
  ModelConfig config;
  std::unique_ptr<Transformer> transformer;
};

void Append(Scratch& scratch, Logits& logits) {
  for (size_t i = 0; i < scratch.logit_rows(); ++i) {
    const auto row = scratch.logits(i);
    logits.emplace_back(row.begin(), row.end());
  }
}

// Logits after every token, fed in chunks into one cache.
Logits Feed(const TestModel& model, const std::vector<int32_t>& tokens, size_t chunk,
            size_t threads = 1, KvType kv_type = KvType::kF16) {
  Scratch scratch(model.config, 128, 128, kMaxThreads);
  ThreadPool pool(threads);
  KvCache kv = KvCache::Create(model.config, 128, kv_type).value();
  Logits logits;
  for (size_t at = 0; at < tokens.size(); at += chunk) {
    const size_t n = std::min(chunk, tokens.size() - at);
    const BatchEntry entry = {&kv, std::span(tokens).subspan(at, n), LogitRows::kAll};
    EXPECT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
    EXPECT_EQ(kv.length(), at + n);
    Append(scratch, logits);
  }
  return logits;
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

void ExpectSameBits(const Logits& a, const Logits& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size()) << what;
    ASSERT_EQ(std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)), 0)
        << what << ", position " << i;
  }
}

TEST(DeterminismTest, CachedEqualsUncachedBitForBit) {
  for (DType type : kTypes) {
    const TestModel model(OptionsFor(type));
    const std::vector<int32_t> tokens = model.Tokens(40);
    ExpectSameBits(Feed(model, tokens, 1), Recompute(model, tokens),
                   FindDType(uint32_t(type))->name);
  }
}

TEST(DeterminismTest, ChunksThreadsAndIsaChangeNoBit) {
  for (DType type : kTypes) {
    const std::string name = FindDType(uint32_t(type))->name;
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

TEST(DeterminismTest, AQuantisedCacheKeepsTheContractToo) {
  TinyModelOptions options = OptionsFor(DType::kQ4_0);
  options.head_dim = 32;
  const TestModel scalar(options, ScalarKernels());
  const std::vector<int32_t> tokens = scalar.Tokens(80);
  const Logits expected = Feed(scalar, tokens, 80, 1, KvType::kQ8_0);
  EXPECT_NE(expected, Feed(scalar, tokens, 80));
  for (const KernelTable* table : TestableKernels()) {
    const TestModel model(options, *table);
    for (size_t chunk : {1, 7, 80}) {
      ExpectSameBits(Feed(model, tokens, chunk, 2, KvType::kQ8_0), expected, table->isa);
    }
  }
}

// Logits after every token, fed one by one beside `neighbours` other sequences, each elsewhere in
// its own text and with chunks of its own size.
Logits FeedAmong(const TestModel& model, const std::vector<int32_t>& tokens, size_t neighbours) {
  std::vector<KvCache> caches;
  for (size_t i = 0; i <= neighbours; ++i) caches.push_back(model.NewCache());
  Scratch scratch(model.config, 128, 16, kMaxThreads);
  ThreadPool pool(2);
  Logits logits;
  for (size_t step = 0; step < tokens.size(); ++step) {
    std::vector<std::vector<int32_t>> chunks;
    for (size_t i = 0; i < neighbours; ++i) chunks.push_back(model.Tokens(1 + i % 5, i));
    std::vector<BatchEntry> batch;
    for (size_t i = 0; i < neighbours; ++i) {
      batch.push_back({&caches[i], chunks[i], i % 2 != 0 ? LogitRows::kLast : LogitRows::kNone});
    }
    const size_t at = neighbours / 2;
    const size_t row = at / 2;  // logit rows of the neighbours before it
    batch.insert(batch.begin() + static_cast<ptrdiff_t>(at),
                 {&caches[neighbours], std::span(tokens).subspan(step, 1), LogitRows::kLast});
    EXPECT_TRUE(model.transformer->Forward(batch, scratch, pool));
    const auto mine = scratch.logits(row);
    logits.emplace_back(mine.begin(), mine.end());
  }
  return logits;
}

TEST(DeterminismTest, NeighboursInTheBatchChangeNoBit) {
  for (DType type : kTypes) {
    const TestModel alone(OptionsFor(type));
    const std::vector<int32_t> tokens = alone.Tokens(6);
    const Logits expected = Feed(alone, tokens, 1);
    for (const KernelTable* table : TestableKernels()) {
      const TestModel model(OptionsFor(type), *table);
      for (size_t neighbours : {3, 15}) {
        ExpectSameBits(FeedAmong(model, tokens, neighbours), expected,
                       std::string(FindDType(uint32_t(type))->name) + ", " + table->isa + ", " +
                           std::to_string(neighbours) + " neighbours");
      }
    }
  }
}

TEST(DeterminismTest, APrefixCopiedFromAnotherCacheChangesNoBit) {
  const TestModel model(OptionsFor(DType::kQ8_0));
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
  const TestModel model(OptionsFor(DType::kQ4_0));
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

// FNV-1a over the bits of n tokens' logits.
uint64_t Digest(const TestModel& model, size_t n) {
  uint64_t digest = 0xcbf29ce484222325u;
  for (const std::vector<float>& row : Feed(model, model.Tokens(n), 16)) {
    for (float v : row) digest = (digest ^ std::bit_cast<uint32_t>(v)) * 0x100000001b3u;
  }
  return digest;
}

// The bits themselves are a promise: the same on every machine. Whoever changes them on purpose
// raises kNumericsVersion and writes the new digests down here.
TEST(DeterminismTest, LogitsHaveTheBitsOfThisNumericsVersion) {
  ASSERT_EQ(kNumericsVersion, 2);
  constexpr uint64_t kDigests[std::size(kTypes)] = {
      14830224390180414060u, 11498455791304424472u, 3401763925526566790u,  4786821162372273117u,
      17245896637271614069u, 6032114099814272141u,  17101224690552517425u, 17259640049298638555u,
      11973776265353313843u, 9313181215152049304u,  5207516750797800028u,  7840181030350436217u,
      10324527349662339125u, 11965180768688395718u, 1211259420809159198u};
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    const TestModel model(OptionsFor(kTypes[i]));
    EXPECT_EQ(Digest(model, 40), kDigests[i]) << FindDType(uint32_t(kTypes[i]))->name;
  }
}

TEST(FamilyTest, LogitsHaveTheBitsOfThisNumericsVersion) {
  ASSERT_EQ(kNumericsVersion, 2);
  constexpr uint64_t kDigests[] = {
      17022714250154903039u, 17720030472172598493u, 2894271032523280362u,  1449814813706733816u,
      10253072392859357328u, 7927330382114395317u,  5736760848855620368u,  4823018433605969940u,
      2985608645645250705u,  8267910325487422371u,  1022231955094865827u,  13076699900658542696u,
      369573361650430126u,   3680117250298786014u,  15565576197731230780u, 6057369180978981307u,
      4012648913989378884u,  12431465032797679014u, 5061477735972139540u,  8678865797381471716u};
  const std::vector<TinyFamily> families = TinyFamilies();
  ASSERT_EQ(families.size(), std::size(kDigests));
  for (size_t i = 0; i < families.size(); ++i) {
    EXPECT_EQ(Digest(TestModel(families[i].options), 30), kDigests[i]) << families[i].name;
  }
}

// Each position must see exactly the tokens up to it, at their absolute positions.
TEST(PositionTest, LogitsDependOnTheOrderOfEarlierTokensAndOnNoLaterOnes) {
  const TestModel model(OptionsFor(DType::kF32));
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

// How far the logits of n tokens are from the reference's, relative to their size.
double RelativeError(const TestModel& model, size_t n) {
  const std::vector<int32_t> tokens = model.Tokens(n);
  const Logits logits = Feed(model, tokens, n);
  const auto reference = ReferenceModel(model.file, model.config).Forward(tokens);
  double squares = 0, reference_squares = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t v = 0; v < model.config.vocab; ++v) {
      squares += std::pow(logits[i][v] - reference[i][v], 2);
      reference_squares += std::pow(reference[i][v], 2);
    }
  }
  return std::sqrt(squares / reference_squares);
}

// Where a window begins and ends, what an expert's rows are gathered from, which rows ride along:
// none of it may be seen in the result, whatever the family.
TEST(FamilyTest, ChunksThreadsNeighboursAndIsaChangeNoBit) {
  for (auto [name, options] : TinyFamilies()) {
    for (const DType type : {DType::kF32, DType::kQ8_0}) {
      options.type = type;
      const std::string what = std::string(name) + " " + FindDType(uint32_t(type))->name;
      const TestModel scalar(options, ScalarKernels());
      const std::vector<int32_t> tokens = scalar.Tokens(72);
      const Logits expected = Feed(scalar, tokens, 72);
      for (const KernelTable* table : TestableKernels()) {
        const TestModel model(options, *table);
        for (size_t chunk : {1, 7, 72}) {
          if (table == &ScalarKernels() && chunk != 7) continue;
          ExpectSameBits(Feed(model, tokens, chunk, 2), expected,
                         what + ", " + table->isa + ", chunk " + std::to_string(chunk));
        }
        const std::vector<int32_t> few(tokens.begin(), tokens.begin() + 4);
        ExpectSameBits(FeedAmong(model, few, 5), Logits(expected.begin(), expected.begin() + 4),
                       what + ", " + table->isa + ", among others");
      }
    }
  }
}

TEST(FamilyTest, LogitsAgreeWithDoublePrecision) {
  for (const auto& [name, options] : TinyFamilies()) {
    const TestModel model(options);
    EXPECT_LT(RelativeError(model, 72), 2e-3) << name;
  }
}

// R1's other side: the fast path is right. Quantised activations and the f16 cache are the
// differences to the reference; the bounds are a few times what was seen.
TEST(ReferenceTest, LogitsAgreeWithDoublePrecision) {
  for (DType type : kTypes) {
    const double relative = RelativeError(TestModel(OptionsFor(type)), 48);
    const bool quantised = FindDType(uint32_t(type))->block_elements > 1;
    const double bound = quantised ? 0.06 : type == DType::kBF16 ? 0.02 : 2e-3;
    EXPECT_LT(relative, bound) << FindDType(uint32_t(type))->name;
    RecordProperty(FindDType(uint32_t(type))->name, std::to_string(relative));
  }
}

TEST(BoundsTest, ABadBatchIsRefusedAndChangesNoCache) {
  const TestModel model(OptionsFor(DType::kF32));
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

// Learned positions end with the model's context, whatever the cache has room for.
TEST(BoundsTest, PositionsThatWereNotLearnedAreRefused) {
  TinyModelOptions options;
  options.architecture = "gpt2";
  options.context = 20;
  const TestModel model(options);
  Scratch scratch(model.config, 32, 1, kMaxThreads);
  ThreadPool pool(1);
  KvCache kv = model.NewCache();
  const std::vector<int32_t> tokens = model.Tokens(21);
  BatchEntry entry = {&kv, tokens, LogitRows::kLast};
  const Status status = model.transformer->Forward({&entry, 1}, scratch, pool);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kContextExceeded);
  EXPECT_NE(status.error().message.find("20 positions"), std::string::npos);
  entry.tokens = std::span(tokens).first(20);
  EXPECT_TRUE(model.transformer->Forward({&entry, 1}, scratch, pool));
}

}  // namespace
}  // namespace lockstep
