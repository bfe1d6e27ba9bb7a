#include "server/app/inspect_command.h"

#include <gmock/gmock.h>

#include "core/transformer/architectures.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

struct Output {
  int code;
  std::string out, err;
};

Output Inspect(const std::string& path) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Output output;
  Options options;
  options.inspect_file = path;
  output.code = RunInspect(options);
  output.out = ::testing::internal::GetCapturedStdout();
  output.err = ::testing::internal::GetCapturedStderr();
  return output;
}

TEST(InspectCommandTest, PrintsMetadataTensorsAndTotals) {
  const TempFile file(TinyModel());
  const Output o = Inspect(file.path());
  EXPECT_EQ(o.code, 0);
  EXPECT_THAT(o.err, IsEmpty());
  EXPECT_THAT(o.out, StartsWith(file.path() + ": GGUF version 3, 337952 bytes\n"));
  EXPECT_THAT(o.out, HasSubstr("metadata (25)"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("general.name +string +\"tiny\"\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("llama.block_count +u32 +2\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("layer_norm_rms_epsilon +f32 +1e-05\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("add_bos_token +bool +true\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("tokens +string.320. +.\"<unk>\", \"<s>\", "));
  EXPECT_THAT(o.out, HasSubstr(", ...]\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("token_embd.weight +F32 +.64, 320. +81920 bytes\n"));
  EXPECT_THAT(o.out, HasSubstr("20 tensors, "));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("architecture +\"llama\"\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("tokenizer +llama; 320 tokens; adds BOS; ends at"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("chat template +none in the file\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("types +F32\n"));
  EXPECT_THAT(o.out,
              ::testing::ContainsRegex("memory +0.3 MiB for the weights, .* for all 128.\n"));
  EXPECT_THAT(o.out, HasSubstr("\nruns here: yes\n"));
  EXPECT_THAT(o.out, ::testing::ContainsRegex("speed +at most [1-9]"));
}

TEST(InspectCommandTest, AnUnknownPreTokenizerIsNamedWithTheKnownOnes) {
  GgufBuilder builder = TinyModelBuilder();
  builder.SetString("tokenizer.ggml.model", "gpt2");
  builder.SetString("tokenizer.ggml.pre", "nonsense");
  const TempFile file(builder.Build());
  const Output o = Inspect(file.path());
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.out, ::testing::ContainsRegex("tokenizer +not supported\n"));
  EXPECT_THAT(o.err, HasSubstr("tokenizer.ggml.pre is \"nonsense\""));
  EXPECT_THAT(o.err, HasSubstr(" qwen2, "));
}

TEST(InspectCommandTest, EscapesControlCharacters) {
  GgufBuilder builder = TinyModelBuilder();
  builder.SetString("general.name", "evil\x1b[2Jname\n");
  builder.SetString("evil\x1b[31mkey", "v");
  builder.SetStrings("list", {"\x07"});
  const TempFile file(builder.Build());
  const Output o = Inspect(file.path());
  EXPECT_EQ(o.code, 0);
  EXPECT_THAT(o.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(o.out, HasSubstr("\"evil\\x1b[2Jname\\x0a\""));
  EXPECT_THAT(o.out, HasSubstr("evil\\x1b[31mkey"));
  EXPECT_THAT(o.out, HasSubstr("[\"\\x07\"]"));
}

TEST(InspectCommandTest, AWarningIsPrinted) {
  GgufBuilder builder = TinyModelBuilder();
  builder.trailer = std::string(77, 'x');
  const TempFile file(builder.Build());
  const Output o = Inspect(file.path());
  EXPECT_EQ(o.code, 0);
  EXPECT_THAT(o.out, HasSubstr("warning: " + file.path() + ": 77 bytes follow"));
}

TEST(InspectCommandTest, AFileThatDoesNotRunHereIsShownAndRefused) {
  GgufBuilder builder = TinyModelBuilder();
  builder.SetString("general.architecture", "mamba");
  const TempFile file(builder.Build());
  const Output o = Inspect(file.path());
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.out, HasSubstr("token_embd.weight"));
  EXPECT_THAT(o.out, HasSubstr("\nruns here: no\n"));
  EXPECT_EQ(o.err, "lockstep: " + file.path() +
                       ": general.architecture is \"mamba\", but lockstep runs " +
                       KnownArchitectures() + " only\n");
}

TEST(InspectCommandTest, ABadFileIsOneSentence) {
  const TempFile file;
  const Output missing = Inspect(file.path());
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.out, IsEmpty());
  EXPECT_THAT(missing.err, HasSubstr("No such file"));
  file.Write(std::vector<uint8_t>{'G', 'G', 'U', 'F'});
  const Output cut = Inspect(file.path());
  EXPECT_EQ(cut.code, 2);
  EXPECT_THAT(cut.out, IsEmpty());
  EXPECT_THAT(cut.err, HasSubstr("version needs 4 bytes"));
}

}  // namespace
}  // namespace lockstep
