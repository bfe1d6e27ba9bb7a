#include "server/app/bench_command.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

using testing::HasSubstr;

// What the command prints, on the embedded model.
std::string RunOn(const BenchOptions& options, int exit_code) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_EQ(RunBench(options), exit_code);
  return testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
}

TEST(BenchCommandTest, MeasuresEveryCombination) {
  BenchOptions options;
  options.threads = 2;
  options.prompt = {20, 0};
  options.generate = {3};
  options.batch = {1, 5};
  options.depth = {0, 17};
  options.prefill_tokens = 8;  // less than a prompt, not a divisor of it
  options.repeat = 2;
  options.json = true;
  const auto report = nlohmann::json::parse(RunOn(options, 0));
  std::vector<std::string> tests;
  for (const auto& r : report["results"]) {
    EXPECT_GT(r["tokens_per_second"], 0);
    tests.push_back(r["test"].get<std::string>() + " " + r["batch"].dump() + " " +
                    r["depth"].dump() + " " + r["tokens"].dump());
  }
  EXPECT_THAT(tests, testing::ElementsAre("prefill 1 0 20", "decode 1 0 3", "decode 5 0 3",
                                          "prefill 1 17 20", "decode 1 17 3", "decode 5 17 3"));
}

TEST(BenchCommandTest, WhatDoesNotFitTheContextIsNamed) {
  BenchOptions options;
  options.prompt = {0};
  options.generate = {1};
  options.depth = {0, 1 << 20};
  EXPECT_THAT(RunOn(options, 2), HasSubstr("--generate 1 at a depth of 1048576"));
  options.depth = {0};
  options.prompt = {1 << 20};
  EXPECT_THAT(RunOn(options, 2), HasSubstr("--prompt 1048576: the model's context is "));
  options.isa = "abacus";
  EXPECT_THAT(RunOn(options, 2), HasSubstr("--isa abacus"));
}

}  // namespace
}  // namespace lockstep
