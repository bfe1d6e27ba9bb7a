#include "core/model_config.h"

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
  EXPECT_EQ(c->rope_base, 500000.0);
  EXPECT_EQ(c->norm_eps, 1e-5f);
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
  EXPECT_EQ(c->rope_base, 10000.0);
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
  ExpectRefused([](GgufBuilder& b) { b.SetString("llama.rope.scaling.type", "yarn"); },
                "llama.rope.scaling.type is \"yarn\"");
  ExpectRefused([](GgufBuilder& b) { b.SetF32("llama.rope.scale_linear", 2.0f); },
                "llama.rope.scale_linear is 2");
  ExpectRefused([](GgufBuilder& b) { b.SetU32("llama.expert_count", 8); },
                "llama.expert_count is 8");
  ExpectRefused([](GgufBuilder& b) { b.SetU32("llama.attention.value_length", 8); },
                "llama.attention.value_length is 8");
  EXPECT_TRUE(Read([](GgufBuilder& b) {
    b.SetString("llama.rope.scaling.type", "none");
    b.SetF32("llama.rope.scale_linear", 1.0f);
    b.SetU32("llama.expert_count", 0);
  }));
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
