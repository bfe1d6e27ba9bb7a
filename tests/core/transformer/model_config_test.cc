#include "core/transformer/model_config.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>

#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

using Edit = std::function<void(GgufBuilder&)>;

Result<ModelConfig> Read(const Edit& edit) {
  GgufBuilder builder = TinyModelBuilder();
  edit(builder);
  const std::vector<uint8_t> bytes = builder.Build();
  const auto file = GgufFile::Parse(bytes, "test.gguf");
  if (!file) return tl::unexpected(file.error());
  return ReadModelConfig(*file);
}

void ExpectRefused(const Edit& edit, const std::string& why) {
  const auto config = Read(edit);
  ASSERT_FALSE(config) << why;
  EXPECT_EQ(config.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(config.error().message, HasSubstr(why));
}

TEST(ModelConfigTest, ReadsEveryField) {
  const auto c = Read([](GgufBuilder& b) {
    b.SetU32("llama.rope.dimension_count", 8);
    b.SetF32("llama.rope.freq_base", 500000.0f);
  });
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->architecture, "llama");
  EXPECT_EQ(c->name, "tiny");
  EXPECT_EQ(c->dim, 64u);
  ASSERT_EQ(c->layers.size(), 2u);
  for (const LayerConfig& layer : c->layers) {
    EXPECT_EQ(layer.heads, 4u);
    EXPECT_EQ(layer.kv_heads, 2u);
    EXPECT_EQ(layer.head.key, 16u);
    EXPECT_EQ(layer.head.value, 16u);
    EXPECT_EQ(layer.rope_dim, 8u);
    EXPECT_EQ(layer.ffn_dim, 96u);
  }
  EXPECT_EQ(c->vocab, 320u);
  EXPECT_EQ(c->context, 128u);
  EXPECT_EQ(c->rope.base, 500000.0);
  EXPECT_EQ(c->norm_eps, 1e-5f);
}

// The name becomes the model's id in every answer and a label of the metrics.
TEST(ModelConfigTest, TheNameIsCleanedAndCut) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "llama"},
      {" \n ", "llama"},
      {" Tiny\n\x1b[1m ", "Tiny[1m"},
      {"caf\xC3\xA9 \xFFx", "caf\xC3\xA9 \xEF\xBF\xBDx"},
      {std::string(1 << 20, 'x'), std::string(256, 'x')},
      {std::string(255, 'x') + "\xC3\xA9", std::string(255, 'x')}};
  for (const auto& [name, wanted] : cases) {
    const auto c = Read([text = name](GgufBuilder& b) { b.SetString("general.name", text); });
    ASSERT_TRUE(c) << c.error().message;
    EXPECT_EQ(c->name, wanted);
  }
}

TEST(ModelConfigTest, OptionalKeysHaveTheirDefaults) {
  const auto c = Read([](GgufBuilder& b) {
    for (const char* key :
         {"general.name", "llama.attention.head_count_kv", "llama.attention.key_length",
          "llama.attention.value_length", "llama.rope.dimension_count", "llama.rope.freq_base",
          "llama.vocab_size"}) {
      b.Remove(key);
    }
  });
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->name, "llama");
  EXPECT_EQ(c->layers[1].kv_heads, 4u);
  EXPECT_EQ(c->layers[1].head.key, 16u);
  EXPECT_EQ(c->layers[1].rope_dim, 16u);
  EXPECT_EQ(c->rope.base, 10000.0);
}

TEST(ModelConfigTest, RequiredKeysAreNamedWhenMissing) {
  for (const std::string key :
       {"general.architecture", "llama.embedding_length", "llama.block_count",
        "llama.attention.head_count", "llama.feed_forward_length", "llama.context_length",
        "llama.attention.layer_norm_rms_epsilon"}) {
    ExpectRefused([&](GgufBuilder& b) { b.Remove(key); }, key + " is missing");
  }
  ExpectRefused([](GgufBuilder& b) { b.RemoveTensor("token_embd.weight"); },
                "token_embd.weight is missing");
}

TEST(ModelConfigTest, IntegersOfAnyTypeAreTaken) {
  const auto c = Read([](GgufBuilder& b) {
    b.Set("llama.block_count", 10, LittleEndian<uint64_t>(2));
    b.Set("llama.context_length", 5, LittleEndian<int32_t>(99));
  });
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->layers.size(), 2u);
  EXPECT_EQ(c->context, 99u);
}

TEST(ModelConfigTest, WhatBelongsToAModelIsNamed) {
  const auto type = [](const char* name) -> Edit {
    return [name](GgufBuilder& b) { b.SetString("general.type", name); };
  };
  ExpectRefused(type("adapter"), "an adapter (LoRA) of a model: give the model's own file");
  ExpectRefused(type("imatrix"), "the importance matrix of a model");
  ExpectRefused(type("mmproj"), "a projector");
  ExpectRefused([](GgufBuilder& b) { b.SetString("general.architecture", "clip"); }, "a projector");
  ExpectRefused([](GgufBuilder& b) { b.SetString("general.architecture", "controlvector"); },
                "a control vector");
  EXPECT_TRUE(Read(type("model")));
  EXPECT_TRUE(Read([](GgufBuilder& b) { b.SetU32("general.type", 1); }));
}

// What would change every answer if it were ignored.
TEST(ModelConfigTest, UnsupportedVariantsAreRefused) {
  ExpectRefused([](GgufBuilder& b) { b.SetString("llama.rope.scaling.type", "su"); },
                "llama.rope.scaling.type is \"su\"");
  ExpectRefused([](GgufBuilder& b) { b.SetU32("llama.expert_count", 8); },
                "llama.expert_used_count is missing");
  ExpectRefused([](GgufBuilder& b) { b.SetU32("llama.attention.value_length", 0); },
                "llama.attention.value_length is 0");
  ExpectRefused([](GgufBuilder& b) { b.SetBool("llama.attention.causal", false); },
                "llama.attention.causal is false");
  EXPECT_TRUE(Read([](GgufBuilder& b) {
    b.SetBool("llama.attention.causal", true);
    b.SetString("llama.rope.scaling.type", "none");
    b.SetF32("llama.rope.scale_linear", 1.0f);
    b.SetU32("llama.expert_count", 0);
  }));
}

ModelConfig OfFamily(
    const std::string& name, const Edit& edit = [](GgufBuilder&) {}) {
  for (const TinyFamily& family : TinyFamilies()) {
    if (family.name != name) continue;
    GgufBuilder builder = TinyModelBuilder(family.options);
    edit(builder);
    const std::vector<uint8_t> bytes = builder.Build();
    const auto file = GgufFile::Parse(bytes, "test.gguf");
    const auto config = ReadModelConfig(*file);
    EXPECT_TRUE(config) << config.error().message;
    return config.value_or(ModelConfig{});
  }
  ADD_FAILURE() << name;
  return {};
}

TEST(ModelConfigTest, FamiliesHaveTheirDefaults) {
  const ModelConfig gemma2 = OfFamily("gemma2", [](GgufBuilder& b) {
    b.Remove("gemma2.attention.sliding_window");
    b.Remove("gemma2.attn_logit_softcapping");
    b.Remove("gemma2.final_logit_softcapping");
    b.SetU32("gemma2.block_count", 46);
  });
  EXPECT_EQ(gemma2.window, 4096u);
  EXPECT_TRUE(gemma2.layers[0].window && !gemma2.layers[1].window && gemma2.layers[44].window);
  EXPECT_EQ(gemma2.attention_soft_cap, 50.0f);
  EXPECT_EQ(gemma2.logit_soft_cap, 30.0f);
  EXPECT_EQ(gemma2.embedding_scale, 8.0f);
  EXPECT_EQ(gemma2.attention_scale, 0.25f) << "of dim / heads, not of the head size";
  const ModelConfig gemma3 = OfFamily("gemma3", [](GgufBuilder& b) {
    b.Remove("gemma3.attention.sliding_window_pattern");
    b.SetU32("gemma3.block_count", 12);
  });
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(gemma3.layers[i].window, i % 6 != 5) << i;
  EXPECT_EQ(gemma3.rope.base, 1000000.0);
  EXPECT_EQ(gemma3.rope.factor, 8.0);
  EXPECT_EQ(gemma3.window_rope, RopeConfig{});
  const ModelConfig granite = OfFamily("granite");
  EXPECT_EQ(granite.logit_scale, 1.0f / 6);
  EXPECT_EQ(granite.residual_scale, 0.3f);
  EXPECT_EQ(granite.attention_scale, 0.2f);
  EXPECT_EQ(granite.embedding_scale, 0.5f);
  const ModelConfig smollm3 = OfFamily("smollm3");
  EXPECT_TRUE(smollm3.layers[2].rope_dim != 0 && smollm3.layers[3].rope_dim == 0);
  EXPECT_EQ(OfFamily("gpt2").layers[0].rope_dim, 0u);
  EXPECT_TRUE(OfFamily("gptneox").parallel_residual);
  EXPECT_FALSE(OfFamily("gptneox-serial").parallel_residual);
  EXPECT_EQ(OfFamily("qwen3moe").mixture.used, 3u);
}

TEST(ModelConfigTest, LayersMayDiffer) {
  const auto c = Read([](GgufBuilder& b) {
    b.SetNumbers<int32_t>("llama.attention.head_count", 5, {4, 8});
    b.SetNumbers<uint32_t>("llama.attention.head_count_kv", 4, {2, 1});
    b.SetNumbers<int32_t>("llama.feed_forward_length", 5, {96, 64});
    b.SetU32("llama.attention.value_length", 8);
  });
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->layers[0].heads, 4u);
  EXPECT_EQ(c->layers[1].heads, 8u);
  EXPECT_EQ(c->layers[1].kv_heads, 1u);
  EXPECT_EQ(c->layers[0].ffn_dim, 96u);
  EXPECT_EQ(c->layers[1].ffn_dim, 64u);
  EXPECT_EQ(c->layers[1].head.value, 8u);
  EXPECT_EQ(c->layers[1].attended_dim(), 64u);
  ExpectRefused(
      [](GgufBuilder& b) { b.SetNumbers<int32_t>("llama.feed_forward_length", 5, {96}); },
      "llama.feed_forward_length is an array of 1, but must be a number, or one for each of 2");
  ExpectRefused(
      [](GgufBuilder& b) {
        b.SetNumbers<int32_t>("llama.attention.head_count_kv", 5, {2, -1});
      },
      "llama.attention.head_count_kv is -1 in place 1, but must be 1 to");
  ExpectRefused(
      [](GgufBuilder& b) {
        b.SetNumbers<int32_t>("llama.attention.head_count_kv", 5, {2, 3});
      },
      "must be a multiple of head_count_kv 3");
}

TEST(ModelConfigTest, Gemma4HasHeadsOfTwoSizesAndLayersThatReadOthers) {
  const ModelConfig c = OfFamily("gemma4");
  EXPECT_EQ(c.layers[0].head.key, 16u);
  EXPECT_EQ(c.layers[2].head.key, 32u);
  EXPECT_EQ(c.layers[0].kv_heads, 2u);
  EXPECT_EQ(c.layers[2].kv_heads, 1u);
  const size_t from[] = {0, 1, 2, 3, 4, 3, 3, 4};
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(c.layers[i].kv_layer, from[i]) << i;
  EXPECT_EQ(c.window_rope.base, 10000.0);
  EXPECT_EQ(c.window_rope_dim, 16u);
  EXPECT_EQ(c.attention_scale, 1.0f);
  EXPECT_EQ(OfFamily("gemma4", [](GgufBuilder& b) { b.Remove("gemma4.final_logit_softcapping"); })
                .logit_soft_cap,
            30.0f);
  const ModelConfig moe = OfFamily("gemma4-moe");
  EXPECT_TRUE(!moe.layers[0].experts && moe.layers[1].experts);
  EXPECT_EQ(moe.layers[1].ffn_dim, 96u);
  EXPECT_EQ(moe.mixture.ffn_dim, 64u);
}

TEST(ModelConfigTest, LatentAttentionHasOneKeyForAllHeads) {
  const ModelConfig c = OfFamily("deepseek2");
  EXPECT_EQ(c.layers[0].kv_heads, 1u);
  EXPECT_EQ(c.layers[0].head.key, 80u);
  EXPECT_EQ(c.layers[0].head.value, 64u);
  EXPECT_TRUE(c.layers[0].head.value_in_key);
  EXPECT_EQ(c.latent.plain, 32u);
  EXPECT_EQ(c.latent.query_rank, 32u);
  EXPECT_EQ(OfFamily("deepseek2-plain").latent.query_rank, 0u);
  EXPECT_FALSE(c.layers[0].experts);
  EXPECT_EQ(c.layers[0].ffn_dim, 96u);
  EXPECT_EQ(c.layers[1].ffn_dim, 64u);
  // Scores of 48 values, times the square of YaRN's temperature.
  const double m = 0.707 * 0.1 * std::log(40.0);
  EXPECT_NEAR(c.attention_scale, (1 + m) * (1 + m) / std::sqrt(48.0), 1e-6);
  EXPECT_NEAR(RopeMagnitude(c.rope), 1, 1e-12);
  const double plain = 1 + 0.1 * std::log(40.0);
  EXPECT_NEAR(OfFamily("deepseek2-old").attention_scale, plain * plain / std::sqrt(48.0), 1e-6);
  const ModelConfig mistral4 = OfFamily("mistral4");
  EXPECT_NEAR(mistral4.attention_scale, plain * plain / std::sqrt(48.0), 1e-6);
  EXPECT_NEAR(RopeMagnitude(mistral4.rope), plain / (1 + m), 1e-6);
}

TEST(ModelConfigTest, ExpertsAreInSomeLayersOnly) {
  const ModelConfig c = OfFamily("ernie4_5-moe", [](GgufBuilder& b) {
    b.SetU32("ernie4_5-moe.interleave_moe_layer_step", 2);
  });
  EXPECT_TRUE(!c.layers[0].experts && c.layers[1].experts && !c.layers[2].experts);
  EXPECT_EQ(c.layers[0].ffn_dim, 96u);
  EXPECT_EQ(c.layers[1].ffn_dim, 32u) << "of the shared expert";
  EXPECT_EQ(c.mixture.ffn_dim, 64u);
  // The router of some families is what it is, whatever the file says.
  const auto edit = [](GgufBuilder& b) { b.SetU32("ernie4_5-moe.expert_gating_func", 2); };
  EXPECT_EQ(OfFamily("ernie4_5-moe", edit).mixture.gating, Gating::kSoftmax);
  EXPECT_EQ(OfFamily("dots1").mixture.gating, Gating::kSigmoid);
  EXPECT_EQ(OfFamily("glm4moe").mixture.gating, Gating::kSigmoid);
}

TEST(ModelConfigTest, WindowsOfSomeSizesOnly) {
  EXPECT_EQ(OfFamily("exaone4").window, 0u);
  EXPECT_EQ(
      OfFamily("exaone4", [](GgufBuilder& b) { b.SetU32("exaone4.attention.sliding_window", 8); })
          .window,
      0u);
  const ModelConfig c = OfFamily("exaone4-windows");
  EXPECT_TRUE(c.layers[2].window && !c.layers[3].window);
  EXPECT_TRUE(c.layers[2].rope_dim != 0 && c.layers[3].rope_dim == 0);
  EXPECT_EQ(
      OfFamily("mistral3", [](GgufBuilder& b) { b.SetU32("mistral3.attention.sliding_window", 8); })
          .window,
      0u);
}

// A window that a file names holds in every layer of a family without a pattern, as in Mistral.
TEST(ModelConfigTest, AFactorWithoutATypeIsLinearAndAWindowIsOfEveryLayer) {
  const auto c = Read([](GgufBuilder& b) {
    b.SetF32("llama.rope.scale_linear", 2.0f);
    b.SetU32("llama.attention.sliding_window", 7);
  });
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->rope.scaling, RopeScaling::kLinear);
  EXPECT_EQ(c->rope.factor, 2.0);
  EXPECT_EQ(c->window, 7u);
  EXPECT_TRUE(c->layers[0].window && c->layers[1].window);
}

TEST(ModelConfigTest, TheVocabularySizeMustBeThatOfTheTensor) {
  ExpectRefused([](GgufBuilder& b) { b.SetU32("llama.vocab_size", 321); },
                "llama.vocab_size is 321, but tensor token_embd.weight has 320 rows");
}

TEST(ModelConfigTest, TheFirstOfSeveralFaultsIsTold) {
  ExpectRefused(
      [](GgufBuilder& b) {
        b.SetU32("llama.embedding_length", 0);
        b.SetU32("llama.block_count", 0);
      },
      "llama.embedding_length is 0");
}

TEST(ModelConfigTest, AnOddHeadSizeIsRefused) {
  ExpectRefused(
      [](GgufBuilder& b) {
        b.SetU32("llama.attention.key_length", 15);
        b.SetU32("llama.attention.value_length", 15);
      },
      "is 15, but must be even");
}

TEST(ModelConfigTest, InfinityAndNanAreRefused) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(), -1.0f, 0.0f}) {
    ExpectRefused([&](GgufBuilder& b) { b.SetF32("llama.rope.freq_base", bad); }, "freq_base is");
    ExpectRefused([&](GgufBuilder& b) { b.SetF32("llama.attention.layer_norm_rms_epsilon", bad); },
                  "layer_norm_rms_epsilon is");
  }
}

}  // namespace
}  // namespace lockstep
