// A story of the embedded model, from its file's bytes to its text, by what of core needs no
// library for texts: so it is told by the emulated aarch64 too, in the bytes in which x86 tells it.
// The server writes the same for this prompt and seed.
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "core/engine/sampler.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/transformer/model_config.h"
#include "core/transformer/transformer.h"
#include "core/transformer/weights.h"

// core/model/embedded/embed.S
extern "C" const uint8_t lockstep_embedded_model[], lockstep_embedded_model_end[];

namespace lockstep {
namespace {

constexpr char kSpace[] = "\xe2\x96\x81";  // SentencePiece writes spaces as U+2581.

TEST(Story, HasTheSameBytesOnEveryProcessor) {
  SetComputeFloatMode();
  const std::span<const uint8_t> bytes(lockstep_embedded_model, lockstep_embedded_model_end);
  const GgufFile file = GgufFile::Parse(bytes, "embedded").value();
  const auto& pieces = **file.GetStrings("tokenizer.ggml.tokens");
  const ModelConfig config = ReadModelConfig(file).value();
  constexpr size_t kThreads = 2;
  ThreadPool pool(kThreads);
  const Transformer transformer(config, LoadWeights(file, config, pool).value(),
                                *ChooseKernels("auto").kernels);
  KvCache kv = KvCache::Create(config, 64).value();
  Scratch scratch(config, 16, 1, kThreads);

  std::vector<int32_t> tokens = {1, 2018, 657, 261, 521};
  SamplingParams params;
  params.seed = 7;
  Sampler sampler(config.vocab);
  sampler.Reset(params, tokens);
  std::string story;
  std::span<const int32_t> next = tokens;
  while (tokens.size() < 29) {
    const BatchEntry entry = {&kv, next};
    ASSERT_TRUE(transformer.Forward({&entry, 1}, scratch, pool));
    tokens.push_back(sampler.Sample(scratch.logits(0), tokens.size()).value().token);
    next = std::span(tokens).last(1);
    story += pieces[static_cast<size_t>(tokens.back())];
  }
  for (size_t at; (at = story.find(kSpace)) != story.npos;) story.replace(at, 3, " ");
  EXPECT_EQ(story,
            " there lived a man who had a son. He was very fond of him, and had a great desire for "
            "him.");
}

}  // namespace
}  // namespace lockstep
