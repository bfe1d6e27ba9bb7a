#include "server/app/embed_bench.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "server/app/bench_command.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TinyModelOptions Bert() {
  TinyModelOptions options;
  options.architecture = "bert";
  options.kv_heads = options.heads;
  return options;
}

std::string RunOn(const BenchOptions& options, int exit_code) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  EXPECT_EQ(RunBench(options), exit_code);
  return testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
}

TEST(EmbedBenchTest, OneTextAloneAndAFullStep) {
  const TempFile file(TinyModel(Bert()));
  BenchOptions options;
  options.model = file.path();
  options.threads = 2;
  options.embed = {20, 60};
  options.prefill_tokens = 64;
  options.json = true;
  const auto report = nlohmann::json::parse(RunOn(options, 0));
  std::vector<std::string> tests;
  for (const auto& r : report["results"]) {
    EXPECT_GT(r["texts_per_second"], 0);
    EXPECT_GT(r["ms"], 0);
    tests.push_back(r["batch"].dump() + " x " + r["tokens"].dump());
  }
  EXPECT_THAT(tests, testing::ElementsAre("1 x 20", "3 x 20", "1 x 60"));
  options.json = false;
  options.embed = {};
  EXPECT_THAT(RunOn(options, 0), HasSubstr("embed       1     128"));
  options.embed = {129};
  EXPECT_THAT(RunOn(options, 2), HasSubstr("--embed 129: the model's context is 128"));
}

TEST(EmbedBenchTest, WhatIsForModelsThatGenerateIsRefused) {
  const TempFile file(TinyModel(Bert()));
  const std::pair<const char*, std::vector<size_t> BenchOptions::*> kSizes[] = {
      {"--prompt", &BenchOptions::prompt},
      {"--generate", &BenchOptions::generate},
      {"--batch", &BenchOptions::batch},
      {"--depth", &BenchOptions::depth}};
  for (const auto& [name, sizes] : kSizes) {
    BenchOptions options;
    options.model = file.path();
    options.*sizes = {7};
    EXPECT_THAT(RunOn(options, 2), HasSubstr(std::string(name) + " is for models that generate"));
  }
}

TEST(EmbedBenchTest, AModelThatGeneratesMakesNoVectors) {
  BenchOptions options;
  options.embed = {20};
  EXPECT_THAT(RunOn(options, 2), HasSubstr("--embed is for models that make vectors"));
}

}  // namespace
}  // namespace lockstep
