#include "server/app/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/app/parse.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ArgumentsTest : public testing::Test {
 protected:
  ArgumentsTest() {
    app_.add_option("-m,--model", text_);
    app_.add_flag("-v,--verbose", on_);
    CLI::App* const bench = app_.add_subcommand("bench");
    bench->add_option("--model", list_);
    bench->add_option("--embed", list_)->expected(0, -1);
  }
  std::vector<std::string> Read(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "lockstep");
    return ReadArguments(app_, static_cast<int>(arguments.size()), arguments.data());
  }

  CLI::App app_;
  std::string text_;
  bool on_ = false;
  std::vector<size_t> list_;
};

TEST_F(ArgumentsTest, WhatTheLibraryReadsStaysAsItIs) {
  EXPECT_THAT(Read({"--model", "a", "-v", "bench", "-ma", "-vm", "a", "--other", "-"}),
              ElementsAre("--model", "a", "-v", "bench", "-ma", "-vm", "a", "--other", "-"));
  EXPECT_THAT(Read({"--model=a=b", "--verbose=no"}), ElementsAre("--model=a=b", "--verbose=no"));
  EXPECT_THAT(Read({"--", "--model=", "-v=no"}), ElementsAre("--", "--model=", "-v=no"));
  EXPECT_THAT(Read({"--model"}), ElementsAre("--model"));
  EXPECT_THAT(Read({}), ElementsAre());
}

TEST_F(ArgumentsTest, ValuesBelongToTheirFlags) {
  EXPECT_THAT(Read({"--model=", "--verbose"}), ElementsAre("--model", "", "--verbose"));
  EXPECT_THAT(Read({"-m=a", "-v=no"}), ElementsAre("-m", "a", "--verbose=no"));
  EXPECT_THAT(Read({"--model", "-1", "--model", "-"}),
              ElementsAre("--model", "-1", "--model", "-"));
  EXPECT_THAT(Read({"--model", "-- a comment", "--model", "---\na: b"}),
              ElementsAre("--model", "-- a comment", "--model", "---\na: b"));
  EXPECT_THAT(Read({"--model=--verbose"}), ElementsAre("--model=--verbose"));
  EXPECT_THAT(Read({"bench", "--embed", "--model", "1"}),
              ElementsAre("bench", "--embed", "--model", "1"));
  for (const char* next : {"--verbose", "--other", "--", "-v", "-m=a"}) {
    EXPECT_THROW(Read({"--model", next}), CLI::ValidationError) << next;
    EXPECT_THROW(Read({"bench", "--model", next}), CLI::ValidationError) << next;
  }
  EXPECT_THROW(Read({"--verbose="}), CLI::ValidationError);
}

TEST(Arguments, AShellsUnsetVariableIsNoValue) {
  for (const char* flag : {"--api-key", "--model-alias", "--host", "--model", "--port", "--context",
                           "--isa", "--queue-timeout", "--kv-type", "--log-level"}) {
    const std::string empty = std::string(flag) + "=";
    for (const auto& arguments : std::vector<std::vector<const char*>>{
             {empty.c_str(), "--strict"}, {flag, "--strict"}, {empty.c_str()}, {flag}}) {
      const ParsedOptions parsed = Parse(arguments);
      EXPECT_EQ(parsed.exit_code, 2) << arguments[0];
      EXPECT_THAT(parsed.output, HasSubstr("lockstep: " + std::string(flag) + ": "));
    }
  }
  EXPECT_EQ(Parse({"--api-key=", "--strict"}).output, "lockstep: --api-key: it is empty\n");
  EXPECT_THAT(Parse({"--model", "--port", "1"}).output, HasSubstr("--model: it has no value"));
  EXPECT_THAT(Parse({"--api-key=--strict"}).options.value().api_keys, ElementsAre("--strict"));
  EXPECT_EQ(Parse({"generate", "--prompt="}).options.value().generate.prompt, "");
}

TEST(Arguments, ShortFlagsHaveEqualsToo) {
  EXPECT_EQ(Parse({"-c=64"}).options.value().context, 64u);
  EXPECT_EQ(Parse({"-c64"}).options.value().context, 64u);
  EXPECT_EQ(Parse({"bench", "-m=a.gguf"}).options.value().bench.model, "a.gguf");
  EXPECT_EQ(Parse({"-hf=a/b"}).options.value().model, "hf://a/b");
  EXPECT_EQ(Parse({"-v=no"}).options.value().log_level, LogLevel::kInfo);
}

}  // namespace
}  // namespace lockstep
