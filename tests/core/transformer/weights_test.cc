#include "core/transformer/weights.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "core/transformer/model_config.h"
#include "tests/support/dequantize.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16,
                                 WeightType::kQ8_0, WeightType::kQ4_0};

// A tiny model in memory, parsed.
struct Parsed {
  explicit Parsed(const GgufBuilder& builder)
      : bytes(builder.Build()),
        file(GgufFile::Parse(bytes, "test.gguf").value()),
        config(ReadModelConfig(file).value()) {}
  explicit Parsed(const TinyModelOptions& options) : Parsed(TinyModelBuilder(options)) {}
  std::vector<uint8_t> bytes;
  GgufFile file;
  ModelConfig config;
};

void ExpectRefused(const GgufBuilder& builder, const std::string& why) {
  ThreadPool pool(2);
  const Parsed p(builder);
  const auto weights = LoadWeights(p.file, p.config, pool);
  ASSERT_FALSE(weights) << why;
  EXPECT_EQ(weights.error().kind, ErrorKind::kBadFile);
  EXPECT_THAT(weights.error().message, HasSubstr(why));
  const Status checked = CheckWeights(p.file, p.config);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message, weights.error().message);
}

std::vector<double> FileValues(const GgufTensor& tensor) {
  return Dequantize(tensor.type->id, tensor.data, tensor.rows() * tensor.cols());
}

TEST(WeightsTest, EveryTypeIsRepackedWithoutChange) {
  ThreadPool pool(2);
  for (const WeightType type : kTypes) {
    TinyModelOptions options;
    options.type = type;
    options.vocab = 301;  // the last panel is partly empty
    const Parsed p(options);
    const auto weights = LoadWeights(p.file, p.config, pool);
    ASSERT_TRUE(weights) << weights.error().message;
    ASSERT_EQ(weights->layers.size(), 2u);
    const std::pair<const char*, const PackedMatrix*> matrices[] = {
        {"token_embd.weight", weights->token_embd.get()},
        {"blk.0.attn_k.weight", &weights->layers[0].wk.weight},
        {"blk.1.ffn_down.weight", &weights->layers[1].dense.down.weight}};
    for (const auto& [name, matrix] : matrices) {
      const GgufTensor& tensor = *p.file.FindTensor(name);
      ASSERT_EQ(matrix->rows, tensor.rows());
      ASSERT_EQ(matrix->cols, tensor.cols());
      const std::vector<double> values = FileValues(tensor);
      std::vector<float> row(matrix->cols);
      for (size_t r = 0; r < matrix->rows; ++r) {
        DecodeRow(*matrix, r, row.data());
        for (size_t c = 0; c < row.size(); ++c) {
          ASSERT_EQ(row[c], static_cast<float>(values[r * row.size() + c]))
              << name << " " << r << " " << c;
        }
      }
    }
  }
}

TEST(WeightsTest, NormsAreCopied) {
  ThreadPool pool(1);
  const Parsed p(TinyModelOptions{});
  const auto weights = LoadWeights(p.file, p.config, pool);
  ASSERT_TRUE(weights);
  const GgufTensor& tensor = *p.file.FindTensor("blk.1.ffn_norm.weight");
  ASSERT_EQ(weights->layers[1].ffn_norm.weight.size(), 64u);
  for (size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(weights->layers[1].ffn_norm.weight[i], FileValues(tensor)[i]);
  }
}

TEST(WeightsTest, TheOutputMatrixIsTiedOrItsOwn) {
  ThreadPool pool(1);
  TinyModelOptions options;
  const Parsed tied(options);
  options.tied = false;
  const Parsed own(options);
  const auto a = LoadWeights(tied.file, tied.config, pool);
  const auto b = LoadWeights(own.file, own.config, pool);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(&a->output(), a->token_embd.get());
  ASSERT_TRUE(b->own_output);
  EXPECT_EQ(&b->output(), b->own_output.get());
  EXPECT_EQ(b->bytes - a->bytes, 320u * 64 * 4);
}

TEST(WeightsTest, EachTensorIsReportedOnce) {
  ThreadPool pool(1);
  const Parsed p(TinyModelOptions{});
  std::set<std::string_view> loaded, checked;
  size_t calls = 0;
  const auto weights = LoadWeights(p.file, p.config, pool, [&](const GgufTensor& tensor) {
    loaded.insert(tensor.name);
    ++calls;
  });
  ASSERT_TRUE(weights);
  EXPECT_EQ(loaded.size(), p.file.tensors().size());
  EXPECT_EQ(calls, loaded.size());
  EXPECT_TRUE(CheckWeights(p.file, p.config,
                           [&](const GgufTensor& tensor) { checked.insert(tensor.name); }));
  EXPECT_EQ(checked, loaded);
}

TEST(WeightsTest, RefusesAMissingTensor) {
  GgufBuilder b = TinyModelBuilder();
  b.RemoveTensor("blk.1.attn_v.weight");
  ExpectRefused(b, "tensor blk.1.attn_v.weight is missing");
}

TEST(WeightsTest, RefusesAnotherShape) {
  GgufBuilder b = TinyModelBuilder();
  b.GetTensor("blk.0.ffn_down.weight").dims = {64, 96};
  ExpectRefused(b,
                "tensor blk.0.ffn_down.weight has dimensions [64, 96], but the metadata imply "
                "[96, 64]");
}

// Programs that write files leave them out or not.
TEST(WeightsTest, DimensionsOfOneAtTheEndMeanNothing) {
  GgufBuilder b = TinyModelBuilder();
  b.GetTensor("blk.0.ffn_norm.weight").dims = {64, 1};
  b.GetTensor("blk.0.ffn_down.weight").dims = {96, 64, 1, 1};
  const Parsed p(b);
  EXPECT_TRUE(CheckWeights(p.file, p.config));
  b.GetTensor("blk.0.ffn_norm.weight").dims = {1, 64};
  ExpectRefused(b, "dimensions [1, 64], but the metadata imply [64]");
}

// The shapes of a state's tensors follow from its sizes.
TEST(WeightsTest, RefusesTensorsOfARecurrentLayerOfAnotherShape) {
  const auto builder = [] {
    return TinyModelBuilder({.layers = 3, .architecture = "granitehybrid"});
  };
  const std::pair<const char*, std::vector<uint64_t>> cases[] = {{"ssm_in.weight", {324, 64}},
                                                                 {"ssm_conv1d.weight", {192, 4}},
                                                                 {"ssm_conv1d.bias", {96, 2}},
                                                                 {"ssm_a", {4}},
                                                                 {"ssm_d", {4, 1}},
                                                                 {"ssm_norm.weight", {128}},
                                                                 {"ssm_out.weight", {64, 128}}};
  for (const auto& [name, dims] : cases) {
    GgufBuilder b = builder();
    b.GetTensor(std::string("blk.0.") + name).dims = dims;
    ExpectRefused(b, std::string("tensor blk.0.") + name + " has dimensions [");
    b.RemoveTensor(std::string("blk.0.") + name);
    ExpectRefused(b, std::string("tensor blk.0.") + name + " is missing");
  }
  GgufBuilder b = builder();
  b.tensors.push_back({"blk.1.ssm_d", {1, 4}, 0, std::string(16, '\0')});  // of one that attends
  ExpectRefused(b, "tensor \"blk.1.ssm_d\" is not part of the granitehybrid models");
  ExpectRefused(b, "blk.N.ssm_d, ");
}

TEST(WeightsTest, RefusesATensorThatWouldBeIgnored) {
  GgufBuilder b = TinyModelBuilder();
  b.tensors.push_back({"blk.1.attn_q_norm.weight", {16}, 0, std::string(64, '\0')});
  ExpectRefused(b, "tensor \"blk.1.attn_q_norm.weight\" is not part of the llama models");
  ExpectRefused(b, "which have blk.N.attn_k, blk.N.attn_norm, ");
}

TEST(WeightsTest, RefusesUnsupportedTypes) {
  GgufBuilder b = TinyModelBuilder();
  GgufBuilder::Tensor& matrix = b.GetTensor("blk.0.attn_q.weight");
  matrix.type = 28;
  matrix.data.resize(matrix.data.size() * 2);
  ExpectRefused(b, "tensor blk.0.attn_q.weight is of type F64");
  b = TinyModelBuilder();
  GgufBuilder::Tensor& norm = b.GetTensor("blk.0.attn_norm.weight");
  norm.type = 1;
  norm.data.resize(norm.data.size() / 2);
  ExpectRefused(
      b, "tensor blk.0.attn_norm.weight is of type F16, but norms, biases and factors must be F32");
}

TEST(WeightsTest, RefusesNanAndInfinityInTheLastRow) {
  const std::string infinite_half = LittleEndian<uint16_t>(0x7C00);
  const std::string nan = LittleEndian(std::numeric_limits<float>::quiet_NaN());
  for (const WeightType type : kTypes) {
    TinyModelOptions options;
    options.type = type;
    GgufBuilder b = TinyModelBuilder(options);
    std::string& data = b.GetTensor("blk.1.ffn_up.weight").data;
    const std::string bad = type == WeightType::kF32    ? nan
                            : type == WeightType::kBF16 ? LittleEndian<uint16_t>(0xFF80)
                                                        : infinite_half;
    data.replace(data.size() - FormatOf(type).file.bytes, bad.size(), bad);
    ExpectRefused(b, "tensor blk.1.ffn_up.weight holds NaN or infinity");
  }
  GgufBuilder b = TinyModelBuilder();
  b.GetTensor("output_norm.weight").data.replace(0, 4, nan);
  ExpectRefused(b, "tensor output_norm.weight holds NaN or infinity");
}

}  // namespace
}  // namespace lockstep
