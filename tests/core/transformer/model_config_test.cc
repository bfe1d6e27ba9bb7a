#include "core/transformer/model_config.h"

#include <gmock/gmock.h>

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
  EXPECT_EQ(c->layers, 2u);
  EXPECT_EQ(c->heads, 4u);
  EXPECT_EQ(c->kv_heads, 2u);
  EXPECT_EQ(c->head_dim, 16u);
  EXPECT_EQ(c->rope_dim, 8u);
  EXPECT_EQ(c->ffn_dim, 96u);
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
  EXPECT_EQ(c->kv_heads, 4u);
  EXPECT_EQ(c->head_dim, 16u);
  EXPECT_EQ(c->rope_dim, 16u);
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
  EXPECT_EQ(c->layers, 2u);
  EXPECT_EQ(c->context, 99u);
}

// What would change every answer if it were ignored.
TEST(ModelConfigTest, UnsupportedVariantsAreRefused) {
  ExpectRefused([](GgufBuilder& b) { b.SetString("llama.rope.scaling.type", "su"); },
                "llama.rope.scaling.type is \"su\"");
  ExpectRefused([](GgufBuilder& b) { b.SetU32("llama.expert_count", 8); },
                "llama.expert_used_count is missing");
  ExpectRefused([](GgufBuilder& b) { b.SetU32("llama.attention.value_length", 8); },
                "llama.attention.value_length is 8");
  EXPECT_TRUE(Read([](GgufBuilder& b) {
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
  EXPECT_TRUE(gemma2.has_window(0) && !gemma2.has_window(1) && gemma2.has_window(44));
  EXPECT_EQ(gemma2.attention_soft_cap, 50.0f);
  EXPECT_EQ(gemma2.logit_soft_cap, 30.0f);
  EXPECT_EQ(gemma2.embedding_scale, 8.0f);
  EXPECT_EQ(gemma2.attention_scale, 0.25f) << "of dim / heads, not of the head size";
  const ModelConfig gemma3 = OfFamily("gemma3", [](GgufBuilder& b) {
    b.Remove("gemma3.attention.sliding_window_pattern");
    b.SetU32("gemma3.block_count", 12);
  });
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(gemma3.has_window(i), i % 6 != 5) << i;
  EXPECT_EQ(gemma3.rope.base, 1000000.0);
  EXPECT_EQ(gemma3.rope.factor, 8.0);
  EXPECT_EQ(gemma3.window_rope, RopeConfig{});
  const ModelConfig granite = OfFamily("granite");
  EXPECT_EQ(granite.logit_scale, 1.0f / 6);
  EXPECT_EQ(granite.residual_scale, 0.3f);
  EXPECT_EQ(granite.attention_scale, 0.2f);
  EXPECT_EQ(granite.embedding_scale, 0.5f);
  const ModelConfig smollm3 = OfFamily("smollm3");
  EXPECT_TRUE(smollm3.rotates(2) && !smollm3.rotates(3));
  EXPECT_EQ(OfFamily("gpt2").rope_dim, 0u);
  EXPECT_TRUE(OfFamily("gptneox").parallel_residual);
  EXPECT_FALSE(OfFamily("gptneox-serial").parallel_residual);
  EXPECT_EQ(OfFamily("qwen3moe").experts_used, 3u);
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
  EXPECT_TRUE(c->has_window(0) && c->has_window(1));
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
