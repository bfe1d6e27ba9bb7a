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

std::vector<TinyFamily> Encoders() {
  std::vector<TinyFamily> all;
  const auto add = [&](const char* name, const char* architecture) -> TinyModelOptions& {
    TinyModelOptions options;
    options.architecture = architecture;
    options.kv_heads = options.heads;
    options.layers = 4;
    options.may_biases = true;
    all.push_back({name, options});
    return all.back().options;
  };
  add("bert", "bert");
  TinyModelOptions& first = add("bert-first", "bert");
  first.fused_qkv = true, first.pooling = 2, first.may_biases = false;
  add("bert-last", "bert").pooling = 3;
  add("nomic-bert", "nomic-bert").fused_qkv = true;
  TinyModelOptions& jina = add("jina-bert-v2", "jina-bert-v2");
  jina.heads = jina.kv_heads = 6, jina.dim = 96;
  add("jina-bert-v3", "jina-bert-v3");
  TinyModelOptions& modern = add("modern-bert", "modern-bert");
  modern.fused_qkv = true, modern.window = 9, modern.rope_base = 160000;
  TinyModelOptions& gemma = add("gemma-embedding", "gemma-embedding");
  gemma.layers = 7, gemma.kv_heads = 1, gemma.window = 8, gemma.rope_base = 1e6;
  return all;
}

using Texts = std::vector<std::vector<int32_t>>;

// Texts of many lengths, around the sizes of tiles and blocks.
Texts SomeTexts(const TestModel& model) {
  Texts texts;
  for (const size_t length : {5, 1, 17, 65, 40}) {
    texts.push_back(model.Tokens(length, length));
  }
  return texts;
}

std::vector<EncoderText> Entries(const Texts& texts) {
  std::vector<EncoderText> entries;
  for (const std::vector<int32_t>& text : texts) entries.push_back({text});
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
  for (auto [name, options] : Encoders()) {
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

TEST(EncodeTest, VectorsAgreeWithDoublePrecision) {
  for (const auto& [name, options] : Encoders()) {
    const TestModel model(options);
    const ReferenceModel reference(model.file, model.config);
    for (const auto& text : SomeTexts(model)) {
      const std::vector<float> vector = Encode(model, {text})[0];
      const std::vector<double> exact = reference.Encode(text);
      double squares = 0, error = 0;
      for (size_t d = 0; d < vector.size(); ++d) {
        squares += double{vector[d]} * double{vector[d]};
        error += std::pow(double{vector[d]} - exact[d], 2);
      }
      EXPECT_NEAR(squares, 1, 1e-6) << name;
      EXPECT_LT(std::sqrt(error), 2e-5) << name << ", " << text.size() << " tokens";
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
}

// The same on every machine; see transformer_test.cc.
TEST(EncodeTest, VectorsHaveTheBitsOfThisNumericsVersion) {
  const std::map<std::string, uint64_t> digests = {
      {"bert", 5492998203809875386u},         {"bert-first", 15757858823769131583u},
      {"bert-last", 6945990281243036197u},    {"nomic-bert", 4226092773196224041u},
      {"jina-bert-v2", 3904482944551369282u}, {"jina-bert-v3", 7702194224912864210u},
      {"modern-bert", 10543403067908541139u}, {"gemma-embedding", 1441317774723786741u},
  };
  for (const auto& [name, options] : Encoders()) {
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
