#include "core/model/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/transformer/model_config.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using testing::Optional;

ModelCard CardOf(const std::vector<uint8_t>& bytes, const std::string& name = "memory") {
  const GgufFile file = GgufFile::Parse(bytes, name).value();
  return MakeModelCard(file, ReadModelConfig(file).value());
}

std::optional<CardValue> ValueOf(const ModelCard& card, std::string_view key) {
  for (const auto& [name, value] : card.metadata) {
    if (name == key) return value;
  }
  return std::nullopt;
}

TEST(ModelCardTest, SaysWhatTheFileIs) {
  TinyModelOptions options;
  options.type = WeightType::kQ8_0;
  const GgufBuilder builder = TinyModelBuilder(options);
  const std::vector<uint8_t> bytes = builder.Build();
  const TempFile temp(bytes);
  const ModelCard card = CardOf(bytes, temp.path());
  size_t parameters = 0;
  for (const GgufBuilder::Tensor& tensor : builder.tensors) {
    size_t elements = 1;
    for (const uint64_t dim : tensor.dims) elements *= dim;
    parameters += elements;
  }
  EXPECT_EQ(card.parameters, parameters);
  EXPECT_EQ(card.architecture, "llama");
  EXPECT_EQ(card.bytes, bytes.size());
  EXPECT_EQ(card.context, 128u);
  EXPECT_EQ(card.dim, 64u);
  EXPECT_GT(card.modified, 1'700'000'000);
  EXPECT_EQ(CardOf(bytes).modified, 0);
}

TEST(ModelCardTest, NamesTheQuantizationAsTheFileDoes) {
  GgufBuilder builder = TinyModelBuilder();
  builder.Remove("general.file_type");
  EXPECT_EQ(CardOf(builder.Build()).quantization, "F32");  // what the weights are
  builder.SetU32("general.file_type", 15);
  EXPECT_EQ(CardOf(builder.Build()).quantization, "Q4_K_M");
  builder.SetU32("general.file_type", 999);
  EXPECT_EQ(CardOf(builder.Build()).quantization, "F32");
}

TEST(ModelCardTest, KeepsWhatIsSmall) {
  GgufBuilder builder = TinyModelBuilder();
  builder.SetU32("a.number", 7);
  builder.SetF32("a.float", 1e-5f);
  builder.SetBool("a.switch", true);
  builder.SetString("a.text", "text");
  builder.SetString("a.long", std::string(kMaxCardText + 1, 'x'));
  builder.SetStrings("a.tags", {"one", "two"});
  builder.SetStrings("a.words", std::vector<std::string>(kMaxCardElements + 1, "word"));
  builder.SetNumbers<uint32_t>("a.numbers", 4, {1, 2});
  builder.SetString("tokenizer.chat_template", "{{ 1 }}");
  builder.SetString("tokenizer.chat_template.tool_use", "{{ 2 }}");
  const ModelCard card = CardOf(builder.Build());
  EXPECT_THAT(ValueOf(card, "a.number"), Optional(CardValue(uint64_t{7})));
  EXPECT_THAT(ValueOf(card, "a.float"), Optional(CardValue(1e-5)));
  EXPECT_THAT(ValueOf(card, "a.switch"), Optional(CardValue(true)));
  EXPECT_THAT(ValueOf(card, "a.text"), Optional(CardValue(std::string("text"))));
  EXPECT_THAT(ValueOf(card, "a.tags"), Optional(CardValue(std::vector<std::string>{"one", "two"})));
  for (const char* empty : {"a.words", "a.numbers"}) {
    EXPECT_THAT(ValueOf(card, empty), Optional(CardValue(std::vector<std::string>{}))) << empty;
  }
  for (const char* absent :
       {"a.long", "tokenizer.chat_template", "tokenizer.chat_template.tool_use"}) {
    EXPECT_EQ(ValueOf(card, absent), std::nullopt) << absent;
  }
}

}  // namespace
}  // namespace lockstep
