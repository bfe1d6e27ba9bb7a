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

std::string ReportOf(const TinyModelOptions& tiny, size_t memory_mib = 0) {
  const auto bytes = TinyModel(tiny);
  const GgufFile file = GgufFile::Parse(bytes, "tiny").value();
  const ModelCost cost(file, ReadModelConfig(file).value());
  Options options;
  options.memory_mib = memory_mib;
  options.threads = 1;
  ::testing::internal::CaptureStdout();
  PrintMachineReport(ModelFile::Parse(bytes, "tiny").value(), cost, options);
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
  EXPECT_THAT(ReportOf({}, 1), ContainsRegex("context +none: .*memory"));
}

}  // namespace
}  // namespace lockstep
