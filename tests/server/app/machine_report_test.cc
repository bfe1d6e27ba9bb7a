// What is printed of a model that generates, of a mixture, of one that encodes, and without memory.
#include "server/app/machine_report.h"

#include <gmock/gmock.h>

#include <string>

#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReportOf(const TinyModelOptions& tiny, Options options = {}) {
  const auto bytes = TinyModel(tiny);
  if (options.threads == 0) options.threads = 1;
  ::testing::internal::CaptureStdout();
  PrintMachineReport(ModelFile::Parse(bytes, "tiny").value(), options);
  return ::testing::internal::GetCapturedStdout();
}

TEST(MachineReportTest, SizeContextAndSpeed) {
  const std::string report = ReportOf({});
  EXPECT_THAT(report, HasSubstr("82240 parameters, of the family llama\n"));
  EXPECT_THAT(report, ContainsRegex("context +128 of the model's 128 tokens fit into "));
  EXPECT_THAT(report, ContainsRegex("at most [1-9][0-9.]+ tokens/s written for one, [1-9]"));
  EXPECT_THAT(report, ContainsRegex("at once, [1-9][0-9]+ read\n"));
  EXPECT_THAT(report, ContainsRegex("[1-9][0-9.]* GB/s of memory, .* 1 threads, [a-z]"));
}

TEST(MachineReportTest, AMixtureHasTwoSizes) {
  const std::string report =
      ReportOf({.architecture = "qwen3moe", .experts = 8, .experts_used = 2});
  EXPECT_THAT(report, ContainsRegex("parameters, [0-9]+ of them for a token .2 of 8 experts., of "
                                    "the family qwen3moe"));
}

TEST(MachineReportTest, WhatEncodesWritesNothing) {
  const std::string report = ReportOf({.architecture = "bert"});
  EXPECT_THAT(report, ContainsRegex("speed +at most [1-9][0-9]+ tokens/s of texts\n"));
  EXPECT_THAT(report, Not(HasSubstr("written")));
}

TEST(MachineReportTest, WhereMemoryIsTooLittleItSaysSo) {
  Options options;
  options.memory_mib = 1;
  EXPECT_THAT(ReportOf({}, options), ContainsRegex("context +none: .*memory"));
}

// As the environment may ask for.
TEST(MachineReportTest, WhatCannotBeMeasuredIsSaid) {
  Options unknown;
  unknown.isa = "nonsense";
  EXPECT_THAT(ReportOf({}, unknown),
              ContainsRegex("context +128 of .*\n  speed +not measured: --isa nonsense: this"));
}

}  // namespace
}  // namespace lockstep
