// Which layers are recurrent, and of which sizes, by the metadata of small models.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/transformer/kv_cache.h"
#include "core/transformer/model_config.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using Edit = std::function<void(GgufBuilder&)>;

TinyModelOptions Options(const char* architecture) {
  TinyModelOptions options;
  options.architecture = architecture;
  options.layers = 5;
  return options;
}

Result<ModelConfig> Read(const TinyModelOptions& options, const Edit& edit = {}) {
  GgufBuilder builder = TinyModelBuilder(options);
  if (edit) edit(builder);
  const std::vector<uint8_t> bytes = builder.Build();
  return ReadModelConfig(GgufFile::Parse(bytes, "tiny").value());
}

// Makes edits that set one of the family's numbers.
auto Setter(const TinyModelOptions& options) {
  const std::string prefix = options.architecture + std::string(".");
  return [prefix](const char* key, uint32_t value) -> Edit {
    return [=](GgufBuilder& b) { b.SetU32(prefix + key, value); };
  };
}

std::vector<bool> Recurrent(const ModelConfig& config) {
  std::vector<bool> flags;
  for (const LayerConfig& layer : config.layers) flags.push_back(layer.recurrent);
  return flags;
}

void ExpectRefused(const TinyModelOptions& options, const Edit& edit, const std::string& part) {
  const auto config = Read(options, edit);
  ASSERT_FALSE(config) << part;
  EXPECT_EQ(config.error().kind, ErrorKind::kBadFile);
  EXPECT_NE(config.error().message.find(part), std::string::npos) << config.error().message;
}

// Numbers of the family that are refused as they are: "ssm.conv_kernel is 1".
void ExpectEachRefused(const TinyModelOptions& options,
                       const std::vector<std::pair<const char*, uint32_t>>& numbers) {
  for (const auto& [key, value] : numbers) {
    ExpectRefused(options, Setter(options)(key, value), key + (" is " + std::to_string(value)));
  }
}

TEST(RecurrenceConfigTest, TheLastLayerOfEachPeriodAttends) {
  const ModelConfig config = Read(Options("qwen35")).value();
  EXPECT_EQ(Recurrent(config), (std::vector<bool>{true, false, true, false, true}));
  EXPECT_EQ(config.recurrent_count(), 3u);
  const RecurrenceSizes& r = config.recurrence;
  EXPECT_EQ(r.taps, 4u);
  EXPECT_EQ(r.inner, 64u);
  EXPECT_EQ(r.channels, 128u);  // two queries, two keys and four values of 16
  EXPECT_EQ(r.key_head(3), 1u);
  // Three layers of four matrices and a window of three positions.
  EXPECT_EQ(KvCache::StateBytes(config), 3 * 4 * (4 * 16 * 16 + 3 * 128u));

  TinyModelOptions by_default = Options("qwen35");
  by_default.attention_period = 4;
  const Edit edit = [](GgufBuilder& b) { b.Remove("qwen35.full_attention_interval"); };
  EXPECT_EQ(Recurrent(Read(by_default, edit).value()),
            (std::vector<bool>{true, true, true, false, true}));
}

TEST(RecurrenceConfigTest, LayersThatGuessAheadAreNotCounted) {
  TinyModelOptions options = Options("qwen35");
  options.skipped_layers = 1;
  options.layer_flags = true;
  const ModelConfig config = Read(options).value();
  EXPECT_EQ(config.layers.size(), 5u);
  EXPECT_EQ(config.skipped_layers, 1u);
  EXPECT_EQ(Recurrent(config), (std::vector<bool>{true, false, true, false, true}));
  const Edit numbers = [](GgufBuilder& b) {
    b.SetNumbers<int32_t>("qwen35.attention.recurrent_layers", 5, {0, 1, 1, 0, 1, 0});
  };
  EXPECT_EQ(Recurrent(Read(options, numbers).value()),
            (std::vector<bool>{false, true, true, false, true}));
  const Edit few = [](GgufBuilder& b) {
    b.SetNumbers<int32_t>("qwen35.attention.recurrent_layers", 5, {0, 1, 1});
  };
  ExpectRefused(options, few,
                "recurrent_layers is an array of 3, but must be a number, or one for");
}

TEST(RecurrenceConfigTest, ConvolutionsAreWhereThereAreNoKeys) {
  const ModelConfig config = Read(Options("lfm2")).value();
  EXPECT_EQ(config.layers[1].kv_heads, 2u);
  EXPECT_EQ(config.layers[2].kv_heads, 0u);
  EXPECT_EQ(Recurrent(config), (std::vector<bool>{true, false, true, false, true}));
  EXPECT_EQ(KvCache::StateBytes(config), 3 * 4 * (3 * 64u));
  const auto heads = [](std::vector<int32_t> numbers) -> Edit {
    return [=](GgufBuilder& b) { b.SetNumbers("lfm2.attention.head_count_kv", 5, numbers); };
  };
  ExpectRefused(Options("lfm2"), heads({0, 0, 0, 0, 0}), "none of the layers attends");
  ExpectRefused(Options("lfm2"), heads({2, 0, 2}), "one for each of 5");
  ExpectRefused(Options("lfm2"), heads({-2, 0, -2, 0, 0}), "head_count_kv is -2 in place 0");
  const Edit embeds = [](GgufBuilder& b) { b.SetBool("lfm2.attention.causal", false); };
  ExpectRefused(Options("lfm2"), embeds, "attention.causal is false");
}

TEST(RecurrenceConfigTest, ImpossibleSizesAreRefused) {
  const TinyModelOptions options = Options("qwen35");
  const auto set = Setter(options);
  ExpectRefused(options, set("attention.value_length", 32), "must be that of the keys, 16");
  ExpectEachRefused(options, {{"ssm.conv_kernel", 1},
                              {"ssm.conv_kernel", 1u << 31},
                              {"ssm.group_count", 0},
                              {"ssm.inner_size", 80},
                              {"full_attention_interval", 0},
                              {"nextn_predict_layers", 5}});
  ExpectRefused(options, set("ssm.state_size", 24), "ssm.state_size is 24, but must be a multiple");
  ExpectRefused(options, set("ssm.group_count", 3), "must be a multiple of group_count 3");
  ExpectRefused(options, set("full_attention_interval", 6), "none of the layers attends");
  TinyModelOptions flags = options;
  flags.layer_flags = true;  // and so the period means nothing
  EXPECT_TRUE(Read(flags, set("full_attention_interval", 0)));
  const Edit no_rank = [](GgufBuilder& b) { b.Remove("qwen35.ssm.time_step_rank"); };
  ExpectRefused(options, no_rank, "ssm.time_step_rank is missing");
  const auto sections = [](std::vector<int32_t> sizes) -> Edit {
    return [=](GgufBuilder& b) { b.SetNumbers("qwen35.rope.dimension_sections", 5, sizes); };
  };
  ExpectRefused(options, sections({4, 4, 0, 0}), "dimension_sections is [4, 4, 0, 0]");
  ExpectRefused(options, sections({0, 0, 0, 0}), "dimension_sections is [0, 0, 0, 0]");
  ExpectRefused(options, sections({3, 3, 2}), "dimension_sections is [3, 3, 2]");
  const Edit none = [](GgufBuilder& b) { b.Remove("qwen35.rope.dimension_sections"); };
  EXPECT_TRUE(Read(options, none));
}

TEST(RecurrenceConfigTest, ALayerOfGraniteHasAStateOrAttends) {
  const ModelConfig config = Read(Options("granitehybrid")).value();
  EXPECT_EQ(Recurrent(config), (std::vector<bool>{true, false, true, false, true}));
  for (const LayerConfig& layer : config.layers) {
    EXPECT_NE(layer.attends(), layer.recurrent);
    EXPECT_TRUE(layer.feeds_forward());
  }
  const RecurrenceSizes& r = config.recurrence;
  EXPECT_EQ(r.inner, 128u);
  EXPECT_EQ(r.head_dim, 32u);
  EXPECT_EQ(r.channels, 128 + 2 * 2 * 16u);  // values, and a key and a query for each of two groups
  EXPECT_EQ(r.key_head(1), 0u);
  EXPECT_EQ(r.key_head(2), 1u);
  // Three layers of four matrices of 32 x 16 and a window of three positions.
  EXPECT_EQ(KvCache::StateBytes(config), 3 * 4 * (4 * 32 * 16 + 3 * 192u));
  EXPECT_EQ(config.layers[1].rope_dim, 16u);
  const Edit plain = [](GgufBuilder& b) {
    b.SetBool("granitehybrid.rope.scaling.finetuned", false);
  };
  EXPECT_EQ(Read(Options("granitehybrid"), plain).value().layers[1].rope_dim, 0u);
}

TEST(RecurrenceConfigTest, ALayerOfNemotronHasOneBranch) {
  const ModelConfig config = Read(Options("nemotron_h")).value();
  EXPECT_EQ(Recurrent(config), (std::vector<bool>{true, false, false, true, false}));
  std::vector<bool> attends, feeds;
  for (const LayerConfig& layer : config.layers) {
    attends.push_back(layer.attends());
    feeds.push_back(layer.feeds_forward());
    EXPECT_EQ(layer.rope_dim, 0u);
  }
  EXPECT_EQ(attends, (std::vector<bool>{false, false, true, false, false}));
  EXPECT_EQ(feeds, (std::vector<bool>{false, true, false, false, true}));
  // A network comes before key/value heads that a layer with one might have.
  const Edit both = [](GgufBuilder& b) {
    b.SetNumbers<int32_t>("nemotron_h.attention.head_count_kv", 5, {0, 2, 2, 0, 2});
  };
  EXPECT_FALSE(Read(Options("nemotron_h"), both).value().layers[1].attends());

  TinyModelOptions options = Options("nemotron_h_moe");
  options.experts = 4, options.shared_ffn_dim = 32;
  const ModelConfig mixture = Read(options).value();
  EXPECT_TRUE(mixture.layers[1].experts);
  EXPECT_EQ(mixture.layers[1].ffn_dim, 32u);
  EXPECT_EQ(mixture.mixture.ffn_dim, 96u);
  EXPECT_FALSE(mixture.layers[2].experts);
  EXPECT_FALSE(mixture.layers[2].feeds_forward());
  const Edit latent = [](GgufBuilder& b) { b.SetU32("nemotron_h_moe.moe_latent_size", 32); };
  ExpectRefused(options, latent, "moe_latent_size is 32, but");
  const Edit varied = [](GgufBuilder& b) {
    b.SetNumbers<int32_t>("nemotron_h_moe.expert_count", 5, {0, 4, 0, 0, 8});
  };
  ExpectRefused(options, varied, "expert_count\" is of type array of i32, but must be an integer");
}

TEST(RecurrenceConfigTest, ALayerOfFalconHasAStateBesideItsAttention) {
  const ModelConfig config = Read(Options("falcon-h1")).value();
  EXPECT_EQ(config.recurrent_count(), 5u);
  for (const LayerConfig& layer : config.layers) EXPECT_EQ(layer.kv_heads, 2u);
  EXPECT_EQ(config.layers[0].rope_dim, 16u);
}

TEST(RecurrenceConfigTest, ImpossibleSizesOfMambaAreRefused) {
  const TinyModelOptions options = Options("falcon-h1");
  const auto set = Setter(options);
  ExpectEachRefused(options, {{"ssm.conv_kernel", 17},
                              {"ssm.state_size", 0},
                              {"ssm.state_size", 1u << 31},
                              {"attention.head_count_kv", 0}});
  ExpectRefused(options, set("ssm.state_size", 18), "ssm.state_size is 18, but must be a multiple");
  ExpectRefused(options, set("ssm.group_count", 3), "must be a multiple of group_count 3");
  ExpectRefused(options, set("ssm.time_step_rank", 6), "must be a multiple of time_step_rank 6");
  ExpectRefused(options, set("ssm.inner_size", 96), "must be time_step_rank 4 times a multiple of");
  ExpectRefused(options, set("ssm.inner_size", 8192), "at most 1024");
  const Edit none = [](GgufBuilder& b) { b.Remove("falcon-h1.ssm.inner_size"); };
  ExpectRefused(options, none, "falcon-h1.ssm.inner_size is missing");
  const Edit no_heads = [](GgufBuilder& b) {
    b.SetNumbers<int32_t>("granitehybrid.attention.head_count_kv", 5, {0, 0, 0, 0, 0});
  };
  ExpectRefused(Options("granitehybrid"), no_heads, "none of the layers attends");
}

}  // namespace
}  // namespace lockstep
