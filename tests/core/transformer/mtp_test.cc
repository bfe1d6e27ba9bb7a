// What a block that guesses ahead gives is what published code computes, in double precision, and
// the same bits however its tokens are cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/mtp_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// Its logits after each token but the first: `own` of them, at the end, it reads with hidden states
// of its own, one by one.
Logits GuessAhead(const MtpModel& model, std::span<const int32_t> tokens, size_t own, size_t chunk,
                  size_t threads) {
  const size_t dim = model.config.dim, known = tokens.size() - 1 - own;
  const std::vector<float> hidden = model.Hidden(tokens.first(known));
  Scratch scratch(model.mtp_config, 128, 128, kMaxThreads);
  ThreadPool pool(threads);
  KvCache kv = KvCache::Create(model.mtp_config, 128).value();
  Logits logits;
  std::vector<float> state;
  for (size_t at = 0; at + 1 < tokens.size();) {
    const bool first = at < known;
    const size_t n = first ? std::min(chunk, known - at) : 1;
    BatchEntry entry = {&kv, tokens.subspan(at + 1, n), LogitRows::kAll};
    entry.hidden = first ? std::span(hidden).subspan(at * dim, n * dim) : std::span(state);
    entry.own_hidden = !first;
    EXPECT_TRUE(model.block->Forward({&entry, 1}, scratch, pool));
    const auto last = scratch.token_vector(0, n - 1);
    state.assign(last.begin(), last.end());
    Append(scratch, logits);
    at += n;
  }
  return logits;
}

double ErrorOf(const MtpModel& model, size_t own) {
  const std::vector<int32_t> tokens = model.Tokens(40);
  const Logits logits = GuessAhead(model, tokens, own, 64, 1);
  const auto reference = ReferenceModel(model.file, model.config).GuessAhead(tokens, own);
  EXPECT_EQ(logits.size(), reference.size());
  double squares = 0, all = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    for (size_t v = 0; v < model.config.vocab; ++v) {
      squares += std::pow(logits[i][v] - reference[i][v], 2);
      all += std::pow(reference[i][v], 2);
    }
  }
  return std::sqrt(squares / all);
}

class MtpTest : public testing::TestWithParam<const char*> {};

// Keys and values of 16 bits are what is left of the difference.
TEST_P(MtpTest, GivesWhatPublishedCodeComputes) {
  TinyModelOptions options = TinyMtpOptions(GetParam());
  for (const bool tied : {true, false}) {
    options.tied = tied;
    const MtpModel model(TinyModel(options));
    EXPECT_LT(ErrorOf(model, 0), 1e-3);
    EXPECT_LT(ErrorOf(model, 3), 1e-3);
  }
}

TEST_P(MtpTest, ChunksAndThreadsChangeNoBit) {
  const MtpModel model(TinyModel(TinyMtpOptions(GetParam())));
  const std::vector<int32_t> tokens = model.Tokens(40);
  const Logits whole = GuessAhead(model, tokens, 4, 64, 1);
  for (const size_t chunk : {1, 3, 17}) {
    ExpectSameBits(GuessAhead(model, tokens, 4, chunk, kMaxThreads), whole, std::to_string(chunk));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, MtpTest,
                         testing::Values("qwen35-mtp", "qwen35-scales", "qwen35moe", "qwen3next",
                                         "glm4moe"),
                         [](const auto& family) {
                           std::string name = family.param;
                           std::erase(name, '-');
                           return name;
                         });

std::vector<uint8_t> Changed(const std::function<void(GgufBuilder&)>& change) {
  GgufBuilder builder = TinyModelBuilder(TinyMtpOptions("qwen35-mtp"));
  change(builder);
  return builder.Build();
}

std::string Error(const std::vector<uint8_t>& bytes) {
  const GgufFile file = GgufFile::Parse(bytes, "tiny").value();
  const ModelConfig config = ReadModelConfig(file).value();
  ThreadPool pool(1);
  const Weights trunk = LoadWeights(file, config, pool).value();
  const auto block = LoadMtpWeights(file, *MtpConfig(config), config.layers.size(), trunk, pool);
  return block ? "" : block.error().message;
}

GgufBuilder::Tensor Copy(const GgufBuilder& builder, const std::string& from, std::string name) {
  const auto tensor = std::ranges::find(builder.tensors, from, &GgufBuilder::Tensor::name);
  GgufBuilder::Tensor copy = *tensor;
  copy.name = std::move(name);
  return copy;
}

// Files may leave out the norm before the output, and may have an embedding and an output of the
// block's own.
TEST(MtpFileTest, WhatTheBlockMayHaveOrNot) {
  const auto without = Changed([](GgufBuilder& builder) {
    std::erase_if(builder.tensors, [](const auto& tensor) {
      return tensor.name == "blk.4.nextn.shared_head_norm.weight";
    });
  });
  EXPECT_LT(ErrorOf(MtpModel(without), 3), 1e-3);
  const GgufBuilder other = TinyModelBuilder({.seed = 7, .tied = false});
  for (const char* name : {"embed_tokens", "shared_head_head"}) {
    const auto with = Changed([&](GgufBuilder& builder) {
      const std::string of = "blk.4.nextn." + std::string(name) + ".weight";
      builder.tensors.push_back(Copy(other, "token_embd.weight", of));
    });
    EXPECT_LT(ErrorOf(MtpModel(with), 3), 1e-3) << name;
  }
}

TEST(MtpFileTest, WhatIsMissingOrWrongIsNamed) {
  for (const char* name : {"nextn.eh_proj", "nextn.enorm", "nextn.hnorm", "attn_output"}) {
    const std::string tensor = "blk.4." + std::string(name) + ".weight";
    const auto without = Changed([&](GgufBuilder& builder) {
      std::erase_if(builder.tensors, [&](const auto& t) { return t.name == tensor; });
    });
    EXPECT_THAT(Error(without), HasSubstr("tensor " + tensor + " is missing"));
  }
  const auto bent = Changed([](GgufBuilder& builder) {
    builder.GetTensor("blk.4.nextn.eh_proj.weight").dims = {64, 128};
  });
  EXPECT_THAT(Error(bent), HasSubstr("blk.4.nextn.eh_proj.weight has dimensions [64, 128]"));
  EXPECT_EQ(Error(Changed([](GgufBuilder&) {})), "");
}

TEST(MtpFileTest, BlocksOfOtherFamiliesAreSkipped) {
  EXPECT_FALSE(MtpConfig(TestModel(TinyMtpOptions("nemotron_h_moe")).config));
  EXPECT_FALSE(MtpConfig(TestModel({.architecture = "qwen35"}).config));
}

}  // namespace
}  // namespace lockstep
