// A model in memory, ways to feed it that must not matter, and what its logits are compared by.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/transformer/model_config.h"
#include "core/transformer/transformer.h"
#include "tests/support/random.h"
#include "tests/support/reference_model.h"
#include "tests/support/tiny_model.h"

namespace lockstep {

inline constexpr size_t kMaxThreads = 3;
using Logits = std::vector<std::vector<float>>;

// A parsed file and the transformer made of it.
struct TestModel {
  explicit TestModel(const TinyModelOptions& options,
                     const KernelTable& kernels = *ChooseKernels("auto").kernels)
      : TestModel(kernels, TinyModel(options)) {}
  TestModel(const KernelTable& kernels, std::vector<uint8_t> gguf)
      : bytes(std::move(gguf)),
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

inline void Append(Scratch& scratch, Logits& logits) {
  for (size_t i = 0; i < scratch.logit_rows(); ++i) {
    const auto row = scratch.logits(i);
    logits.emplace_back(row.begin(), row.end());
  }
}

// Logits after every token, fed in chunks into one cache.
inline Logits Feed(const TestModel& model, const std::vector<int32_t>& tokens, size_t chunk,
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

inline void ExpectSameBits(const Logits& a, const Logits& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size()) << what;
    ASSERT_EQ(std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)), 0)
        << what << ", position " << i;
  }
}

// Logits after every token, fed one by one beside `neighbours` other sequences, each elsewhere in
// its own text and with chunks of its own size.
inline Logits FeedAmong(const TestModel& model, const std::vector<int32_t>& tokens,
                        size_t neighbours) {
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

// FNV-1a over the bits of n tokens' logits.
inline uint64_t Digest(const TestModel& model, size_t n) {
  uint64_t digest = 0xcbf29ce484222325u;
  for (const std::vector<float>& row : Feed(model, model.Tokens(n), 16)) {
    for (float v : row) digest = (digest ^ std::bit_cast<uint32_t>(v)) * 0x100000001b3u;
  }
  return digest;
}

// How far the logits of n tokens are from the reference's, relative to their size.
inline double RelativeError(const TestModel& model, size_t n) {
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

}  // namespace lockstep
