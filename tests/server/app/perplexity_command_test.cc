#include "server/app/perplexity_command.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "core/tokenizer/tokenizer.h"
#include "core/transformer/model_config.h"
#include "tests/support/random.h"
#include "tests/support/reference_model.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Output {
  int code;
  std::string out, err;
};

Output Perplexity(const PerplexityOptions& options) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Output output;
  output.code = RunPerplexity(options);
  output.out = ::testing::internal::GetCapturedStdout();
  output.err = ::testing::internal::GetCapturedStderr();
  return output;
}

std::string Text(size_t words) {
  Random random(3);
  std::string text = "once upon";
  for (size_t i = 2; i < words; ++i) text += random.Below(2) == 0 ? " the" : " Once, and";
  return text;
}

class PerplexityCommandTest : public ::testing::Test {
 protected:
  PerplexityCommandTest() : bytes_(TinyModel()), model_(bytes_) { WriteText(Text(200)); }

  void WriteText(const std::string& text) {
    text_.Write({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    text_bytes_ = text;
  }
  PerplexityOptions Options(size_t context, size_t chunks = 0) const {
    PerplexityOptions options;
    options.model = model_.path();
    options.file = text_.path();
    options.context = context;
    options.chunks = chunks;
    return options;
  }

  std::vector<uint8_t> bytes_;
  TempFile model_, text_;
  std::string text_bytes_;
};

TEST_F(PerplexityCommandTest, IsThatOfTheReferenceModel) {
  const GgufFile file = GgufFile::Parse(bytes_, "tiny").value();
  const ReferenceModel reference(file, ReadModelConfig(file).value());
  const Tokenizer tokenizer = Tokenizer::Create(file).value();
  const std::vector<int32_t> tokens = tokenizer.Encode(text_bytes_, true);
  constexpr size_t kContext = 33, kChunks = 3;
  ASSERT_GT(tokens.size(), kContext * kChunks);
  std::vector<double> surprises;
  for (size_t chunk = 0; chunk < kChunks; ++chunk) {
    std::vector<int32_t> window(&tokens[chunk * kContext], &tokens[chunk * kContext] + kContext);
    window[0] = tokenizer.bos();
    const auto logits = reference.Forward(window);
    for (size_t i = kContext / 2; i + 1 < kContext; ++i) {
      double sum = 0;
      for (const double logit : logits[i]) sum += std::exp(logit);
      surprises.push_back(std::log(sum) - logits[i][static_cast<size_t>(window[i + 1])]);
    }
  }
  double mean = 0, variance = 0;
  const auto n = static_cast<double>(surprises.size());
  for (const double s : surprises) mean += s / n;
  for (const double s : surprises) variance += (s - mean) * (s - mean) / (n - 1);

  const Output o = Perplexity(Options(kContext, kChunks));
  ASSERT_EQ(o.code, 0) << o.err;
  const size_t at = o.out.find("Final estimate: ");
  ASSERT_NE(at, std::string::npos) << o.out;
  double perplexity = 0, error = 0;
  ASSERT_EQ(
      std::sscanf(o.out.c_str() + at, "Final estimate: PPL = %lf +/- %lf", &perplexity, &error), 2);
  EXPECT_NEAR(perplexity, std::exp(mean), 1e-3 * std::exp(mean));
  EXPECT_NEAR(error, std::exp(mean) * std::sqrt(variance / n), 1e-2 * error);
  EXPECT_THAT(o.out, HasSubstr("48 tokens scored, 96 read, "));
  EXPECT_THAT(o.err, HasSubstr("[1]"));
}

TEST_F(PerplexityCommandTest, ChunksBoundTheWindowsOfTheText) {
  const Output all = Perplexity(Options(64));
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(Perplexity(Options(64, 1'000'000)).err, all.err);
  const Output one = Perplexity(Options(64, 1));
  EXPECT_THAT(one.out, HasSubstr("31 tokens scored"));
  EXPECT_EQ(all.err.substr(0, one.err.size() - 1), one.err.substr(0, one.err.size() - 1));
}

TEST_F(PerplexityCommandTest, WhatCannotBeUsedIsRefusedByName) {
  const auto expect = [](const PerplexityOptions& options, const std::string& part) {
    const Output o = Perplexity(options);
    EXPECT_EQ(o.code, 2);
    EXPECT_THAT(o.out, IsEmpty());
    EXPECT_THAT(o.err, HasSubstr(part));
  };
  expect(Options(129), "--context 129: give a number from 8 to the model's 128\n");
  expect(Options(7), "--context 7: give a number from 8 to the model's 128\n");
  PerplexityOptions options = Options(64);
  options.isa = "none";
  expect(options, "--isa none");
  options = Options(64);
  options.file = "/no/such/file";
  expect(options, "/no/such/file: cannot open it");
  options = Options(64);
  options.model = "/no/such/model";
  expect(options, "/no/such/model: cannot open it");
  WriteText("once upon");
  expect(Options(64), "model.gguf: 11 tokens do not fill a window of 64; give a longer text");
  WriteText("");
  expect(Options(64), "the file is empty");
}

TEST_F(PerplexityCommandTest, LogitsThatAreNotFiniteAreAnErrorNotAFigure) {
  GgufBuilder builder = TinyModelBuilder();
  std::string huge;
  for (int i = 0; i < 64; ++i) huge += LittleEndian(3e38f);
  builder.GetTensor("output_norm.weight").data = huge;
  model_.Write(builder.Build());
  const Output o = Perplexity(Options(64));
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.err, HasSubstr(model_.path() + ": the model gives logits that are not finite"));
  EXPECT_THAT(o.out, ::testing::Not(HasSubstr("PPL")));
}

}  // namespace
}  // namespace lockstep
