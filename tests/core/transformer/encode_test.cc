// Encoders: what they compute is right, and a text's vector depends on its tokens alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <numeric>

#include "tests/support/testable_kernels.h"
#include "tests/support/transformer_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

using Texts = std::vector<std::vector<int32_t>>;

// Texts of many lengths, around the sizes of tiles and blocks.
Texts SomeTexts(const TestModel& model) {
  Texts texts;
  for (const size_t length : {5, 1, 17, 65, 40}) {
    texts.push_back(model.Tokens(length, length));
  }
  return texts;
}

// Pairs, of which the second text is the last third.
std::vector<EncoderText> Entries(const Texts& texts) {
  std::vector<EncoderText> entries;
  for (const std::vector<int32_t>& text : texts) entries.push_back({text, text.size() * 2 / 3});
  return entries;
}

Logits Encode(const TestModel& model, const Texts& texts, size_t threads = 1) {
  Scratch scratch(model.config, 400, 16, kMaxThreads);
  ThreadPool pool(threads);
  const std::vector<EncoderText> entries = Entries(texts);
  const Status ok = model.transformer->Encode(entries, scratch, pool);
  EXPECT_TRUE(ok) << (ok ? "" : ok.error().message);
  Logits vectors;
  Append(scratch, vectors);
  return vectors;
}

TEST(EncodeTest, BatchOrderThreadsAndIsaChangeNoBit) {
  for (auto [name, options] : TinyEncoders()) {
    for (const WeightType type : {WeightType::kF32, WeightType::kQ8_0}) {
      options.type = type;
      const TestModel scalar(options, ScalarKernels());
      const Texts texts = SomeTexts(scalar);
      Logits expected;
      for (const auto& text : texts) expected.push_back(Encode(scalar, {text})[0]);
      for (const KernelTable* table : TestableKernels()) {
        if (table == &ScalarKernels()) continue;
        const TestModel model(options, *table);
        const std::string what = std::string(name) + " " + Name(type) + ", " + table->isa;
        ExpectSameBits(Encode(model, texts, 3), expected, what);
        const Texts turned(texts.rbegin(), texts.rend());
        ExpectSameBits(Encode(model, turned, 2), Logits(expected.rbegin(), expected.rend()),
                       what + ", in another order");
      }
    }
  }
}

TEST(EncodeTest, VectorsAndScoresAgreeWithDoublePrecision) {
  for (const auto& [name, options] : TinyEncoders()) {
    const TestModel model(options);
    const ReferenceModel reference(model.file, model.config);
    for (const std::vector<int32_t>& tokens : SomeTexts(model)) {
      const std::vector<float> vector = Encode(model, {tokens})[0];
      const std::vector<double> exact = reference.Encode(tokens, Entries({tokens})[0].second);
      ASSERT_EQ(vector.size(), exact.size()) << name;
      double squares = 0, error = 0;
      for (size_t d = 0; d < vector.size(); ++d) {
        squares += double{vector[d]} * double{vector[d]};
        error += std::pow(double{vector[d]} - exact[d], 2);
      }
      const bool scores = model.config.scores_pairs();
      EXPECT_TRUE(scores || std::fabs(squares - 1) < 1e-6) << name << ": " << squares;
      EXPECT_LT(std::sqrt(error), scores ? 1e-4 : 2e-5)
          << name << ", " << tokens.size() << " tokens";
    }
  }
}

// What is asked of one text changes nothing of those beside it.
TEST(EncodeTest, AVectorMayKeepItsLengthAndEachTokenHasOne) {
  for (const auto& [name, options] : TinyEncoders()) {
    if (options.scores != 0) continue;
    const TestModel model(options);
    const Texts texts = SomeTexts(model);
    const Logits unit = Encode(model, texts);
    std::vector<EncoderText> entries = Entries(texts);
    for (size_t i = 0; i < entries.size(); i += 2) entries[i].form = TextForm::kPooled;
    Scratch scratch(model.config, 400, 16, kMaxThreads);
    ThreadPool pool(2);
    ASSERT_TRUE(model.transformer->Encode(entries, scratch, pool)) << name;
    for (size_t i = 0; i < texts.size(); ++i) {
      double squares = 0, dot = 0;
      const std::span<const float> vector = scratch.logits(i);
      for (size_t d = 0; d < vector.size(); ++d) {
        squares += double{vector[d]} * double{vector[d]};
        dot += double{vector[d]} * double{unit[i][d]};
      }
      EXPECT_NEAR(dot / std::sqrt(squares), 1, 1e-6) << name;
      if (i % 2 == 1) ExpectSameBits({{vector.begin(), vector.end()}}, {unit[i]}, name);
      const bool pooled_as_is = model.config.head.pooled == Pooling::kMean &&
                                model.config.outputs() == model.config.dim && i % 2 == 0 &&
                                std::string_view(name).find("dense") == std::string_view::npos;
      if (!pooled_as_is) continue;
      EXPECT_GT(std::fabs(squares - 1), 1e-3) << name;
      for (size_t d = 0; d < vector.size(); ++d) {  // their mean is the text's
        double sum = 0;
        for (size_t t = 0; t < texts[i].size(); ++t) sum += double{scratch.token_vector(i, t)[d]};
        EXPECT_NEAR(sum / static_cast<double>(texts[i].size()), vector[d], 1e-5) << name;
      }
    }
  }
}

// How far a vector is from the exact one is how its inputs are rounded: to 8 bits but for F16.
TEST(EncodeTest, EveryKindOfWeightsEncodes) {
  TinyModelOptions options;
  options.architecture = "bert";
  options.dim = options.ffn_dim = 256, options.head_dim = 64, options.kv_heads = 4;
  using Bound = std::pair<WeightType, double>;
  for (const auto& [type, bound] :
       {Bound(WeightType::kF16, 2e-5), Bound(WeightType::kBF16, 0.02),
        Bound(WeightType::kQ8_0, 1e-4), Bound(WeightType::kQ4_K, 0.05)}) {
    options.type = type;
    const TestModel model(options), scalar(options, ScalarKernels());
    const Texts texts = {model.Tokens(20, 1), model.Tokens(7, 2)};
    const Logits vectors = Encode(model, texts);
    const ReferenceModel reference(model.file, model.config);
    for (size_t i = 0; i < texts.size(); ++i) {
      ExpectSameBits(Encode(scalar, {texts[i]}), {vectors[i]}, Name(type));
      const std::vector<double> exact = reference.Encode(texts[i], Entries({texts[i]})[0].second);
      double error = 0;
      for (size_t d = 0; d < exact.size(); ++d) error += std::pow(vectors[i][d] - exact[d], 2);
      EXPECT_LT(std::sqrt(error), bound) << Name(type);
    }
  }
}

TEST(EncodeTest, RefusesWhatIsNoTextOrDoesNotFit) {
  TinyModelOptions options;
  options.architecture = "bert";
  options.kv_heads = 4;
  const TestModel model(options);
  Scratch scratch(model.config, 150, 2, 1);
  ThreadPool pool(1);
  const auto error = [&](const Texts& texts) {
    const std::vector<EncoderText> entries = Entries(texts);
    const Status status = model.transformer->Encode(entries, scratch, pool);
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(error({model.Tokens(128)}), "");
  EXPECT_THAT(error({model.Tokens(129)}), HasSubstr("129 tokens does not fit"));
  EXPECT_THAT(error({{}}), HasSubstr("without tokens"));
  EXPECT_THAT(error({{3, -1}}), HasSubstr("-1 is outside"));
  EXPECT_THAT(error({model.Tokens(80), model.Tokens(80)}), HasSubstr("160 tokens exceed"));
  EXPECT_THAT(error({{1}, {2}, {3}}), HasSubstr("3 texts"));
  // It generates nothing.
  KvCache kv = model.NewCache();
  const std::vector<int32_t> tokens = model.Tokens(3);
  const BatchEntry entry = {&kv, tokens};
  const Status status = model.transformer->Forward({&entry, 1}, scratch, pool);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("encode texts and generate none"));
}

TEST(EncodeTest, ConfigurationsOfOtherKindsAreRefused) {
  TinyModelOptions options;
  options.architecture = "bert";
  options.kv_heads = 4;
  const auto error = [&](auto change) {
    GgufBuilder builder = TinyModelBuilder(options);
    change(builder);
    const std::vector<uint8_t> bytes = builder.Build();
    const auto config = ReadModelConfig(GgufFile::Parse(bytes, "tiny").value());
    return config ? std::string() : config.error().message;
  };
  EXPECT_EQ(error([](GgufBuilder&) {}), "");
  EXPECT_THAT(error([](GgufBuilder& b) { b.SetU32("bert.pooling_type", 4); }),
              HasSubstr("tensor cls.output.weight is missing"));
  EXPECT_THAT(error([](GgufBuilder& b) { b.SetU32("bert.pooling_type", 5); }),
              HasSubstr("pooling_type is 5"));
  EXPECT_THAT(error([](GgufBuilder& b) { b.SetBool("bert.attention.causal", true); }),
              HasSubstr("attend both ways"));

  // One series of slopes serves all layers.
  options.architecture = "jina-bert-v2";
  const auto heads = [](const std::vector<uint32_t>& of_layers) {
    return [=](GgufBuilder& b) {
      b.SetNumbers<uint32_t>("jina-bert-v2.attention.head_count", 4, of_layers);
      b.SetNumbers<uint32_t>("jina-bert-v2.attention.head_count_kv", 4, of_layers);
    };
  };
  EXPECT_EQ(error(heads({4, 4})), "");
  EXPECT_THAT(error(heads({4, 8})),
              HasSubstr("head_count is 8, but must be that of the first layer"));
}

// Only the files of ModernBERT say what GELU is to be replaced by.
TEST(EncodeTest, AnActivationIsReadWhereTheFamilyHasAChoice) {
  for (const char* architecture : {"bert", "modern-bert"}) {
    TinyModelOptions options;
    options.architecture = architecture;
    options.kv_heads = 4;
    GgufBuilder builder = TinyModelBuilder(options);
    builder.SetString(std::string(architecture) + ".hidden_activation", "silu");
    const std::vector<uint8_t> bytes = builder.Build();
    const auto config = ReadModelConfig(GgufFile::Parse(bytes, "tiny").value());
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->activation == Activation::kSilu, architecture == std::string("modern-bert"));
  }
}

// Rerankers that were converted as models that generate: their name tells, and the rows of the
// output for "yes" and "no" are the head.
TEST(EncodeTest, ARerankerWithoutAHeadScoresByItsAnswers) {
  TinyModelOptions options;
  options.architecture = "qwen3";
  options.head_dim = 32, options.vocab = 400;
  for (const bool tied : {true, false}) {
    options.tied = tied;
    GgufBuilder builder = TinyModelBuilder(options);
    builder.SetString("general.name", "Some Reranker 0.6B");
    std::string& tokens = builder.GetPair("tokenizer.ggml.tokens").value;
    for (const auto& [from, to] : {std::pair("the", "yes"), std::pair("on", "no")}) {
      tokens.replace(tokens.find(GgufString(from)), GgufString(from).size(), GgufString(to));
    }
    const std::vector<uint8_t> bytes = builder.Build();
    const GgufFile file = GgufFile::Parse(bytes, "tiny").value();
    const ModelConfig config = ReadModelConfig(file).value();
    EXPECT_TRUE(config.scores_pairs());
    ASSERT_EQ(config.outputs(), 2u);
    ThreadPool pool(1);
    const Transformer transformer(config, LoadWeights(file, config, pool).value(), ScalarKernels());
    Scratch scratch(config, 64, 1, 1);
    const std::vector<int32_t> text = {5, 300, 270, 280, 290};
    const EncoderText entry = {text};
    ASSERT_TRUE(transformer.Encode({&entry, 1}, scratch, pool));
    const std::vector<double> exact = ReferenceModel(file, config).Encode(text);
    EXPECT_NEAR(scratch.logits(0)[0], exact[0], 1e-4);
    EXPECT_NEAR(scratch.logits(0)[0] + scratch.logits(0)[1], 1, 1e-6);
    EXPECT_TRUE(CheckWeights(file, config));
  }
  // Of a model of another name they score tokens.
  const TestModel other(options);
  EXPECT_FALSE(other.config.encodes());
}

TEST(EncodeTest, HeadsThatNothingCanBeMadeOfAreRefused) {
  TinyModelOptions options;
  options.architecture = "bert";
  options.kv_heads = 4, options.pooling = 4, options.scores = 3, options.hidden_scores = true;
  const auto error = [&](auto change) {
    GgufBuilder builder = TinyModelBuilder(options);
    change(builder);
    const std::vector<uint8_t> bytes = builder.Build();
    const GgufFile file = GgufFile::Parse(bytes, "tiny").value();
    const auto config = ReadModelConfig(file);
    if (!config) return config.error().message;
    const Status weights = CheckWeights(file, *config);
    return weights ? std::string() : weights.error().message;
  };
  const auto labels = [](size_t n) {
    return [n](GgufBuilder& b) {
      b.SetStrings("bert.classifier.output_labels", std::vector<std::string>(n, "x"));
    };
  };
  EXPECT_EQ(error([](GgufBuilder&) {}), "");
  EXPECT_EQ(error(labels(3)), "");
  EXPECT_THAT(error(labels(2)), HasSubstr("the head of the model makes 3 scores"));
  EXPECT_THAT(error([](GgufBuilder& b) { b.RemoveTensor("cls.output.weight"); }),
              HasSubstr("tensor cls.output.weight is missing"));
  EXPECT_THAT(error([](GgufBuilder& b) { b.SetString("bert.classifier.activation", "relu"); }),
              HasSubstr("classifier.activation is \"relu\""));
  EXPECT_THAT(error([](GgufBuilder& b) {
                b.GetTensor("cls.output.weight").dims = {32, 6};
              }),
              HasSubstr("cls.output"));
}

// The same on every machine; see transformer_test.cc.
TEST(EncodeTest, VectorsHaveTheBitsOfThisNumericsVersion) {
  const std::map<std::string, uint64_t> digests = {
      {"bert", 6388088970392623353u},
      {"bert-first", 4348501407336255480u},
      {"bert-last", 6011240630383115523u},
      {"nomic-bert", 9649313209582953924u},
      {"jina-bert-v2", 16243022634481512967u},
      {"jina-bert-v3", 12830576955277153950u},
      {"modern-bert", 13727725257322337817u},
      {"gemma-embedding", 70690892904723325u},
      {"gemma-embedding-dense", 3404928949722235686u},
      {"jina-bert-v2-norms", 4529382707356508787u},
      {"nomic-bert-moe", 11643106100870521060u},
      {"qwen3", 3748839552134074018u},
      {"gemma2", 5518081670659249495u},
      {"llama-embed", 9764631389003501550u},
      {"eurobert", 6283340620842638571u},
      {"gemma-embedding2", 2136704603384265848u},
      {"bert-rank", 16154870099287152345u},
      {"bert-rank-bare", 14652123004909744418u},
      {"modern-bert-rank", 10429248354316848567u},
      {"qwen3-rank", 17913239728244951260u},
  };
  for (const auto& [name, options] : TinyEncoders()) {
    const TestModel model(options);
    uint64_t digest = 0xcbf29ce484222325u;
    for (const std::vector<float>& row : Encode(model, SomeTexts(model))) {
      for (const float v : row) digest = (digest ^ std::bit_cast<uint32_t>(v)) * 0x100000001b3u;
    }
    const auto known = digests.find(name);
    EXPECT_TRUE(known != digests.end() && digest == known->second)
        << "{\"" << name << "\", " << digest << "u}";
  }
}

}  // namespace
}  // namespace lockstep
