// Every kind of flag, and its variable, by those that the program has.
#include "server/app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/app/parse.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(CommandLineTest, TheEnvironmentSetsEachFlagAndTheCommandLineWins) {
  const Variable port("LOCKSTEP_PORT", "81"), model("LOCKSTEP_MODEL", "a.gguf"),
      host("LOCKSTEP_HOST", "::1"), threads("LOCKSTEP_THREADS", "3"),
      sessions("LOCKSTEP_SESSIONS", "4"), context("LOCKSTEP_CONTEXT", "55"),
      isa("LOCKSTEP_ISA", "scalar"), queue("LOCKSTEP_QUEUE", "6"),
      prefill("LOCKSTEP_PREFILL_TOKENS", "7"), drain("LOCKSTEP_DRAIN_TIMEOUT", "8"),
      level("LOCKSTEP_LOG_LEVEL", "debug"), format("LOCKSTEP_LOG_FORMAT", "json");
  const ParsedOptions parsed = Parse({"serve", "--sessions", "5"});
  ASSERT_TRUE(parsed.options.has_value()) << parsed.output;
  const Options& o = *parsed.options;
  EXPECT_EQ(o.http.port, 81);
  EXPECT_EQ(o.model, "a.gguf");
  EXPECT_EQ(o.http.host, "::1");
  EXPECT_EQ(o.threads, 3u);
  EXPECT_EQ(o.sessions, 5u);
  EXPECT_EQ(o.context, 55u);
  EXPECT_EQ(o.isa, "scalar");
  EXPECT_EQ(o.scheduling.max_queued, 6u);
  EXPECT_EQ(o.scheduling.prefill_tokens, 7u);
  EXPECT_EQ(o.drain_timeout, std::chrono::seconds(8));
  EXPECT_EQ(o.log_level, LogLevel::kDebug);
  EXPECT_EQ(o.log_format, LogFormat::kJson);

  // What Kubernetes makes up for a service that is called lockstep.
  for (const char* link : {"tcp://10.96.12.34:80", "udp://[fd00::1]:80"}) {
    const Variable service("LOCKSTEP_PORT", link);
    EXPECT_EQ(Parse({}).options.value().http.port, 8080);
    EXPECT_EQ(Parse({"--port", "9"}).options.value().http.port, 9);
  }
  const Variable bad("LOCKSTEP_PORT", "http");
  EXPECT_EQ(Parse({}).exit_code, 2);
  EXPECT_THAT(Parse({}).output, HasSubstr("--port"));
  EXPECT_TRUE(Parse({"--port", "1"}).options.has_value());
}

TEST(CommandLineTest, AnEmptyValueIsRefusedAndAnEmptyVariableIsNone) {
  for (const char* flag :
       {"--model", "--hf", "--models-dir", "--prefix-dir", "--embedding-model", "--isa"}) {
    const ParsedOptions parsed = Parse({flag, ""});
    EXPECT_EQ(parsed.exit_code, 2) << flag;
    EXPECT_THAT(parsed.output, HasSubstr(flag));
    EXPECT_THAT(parsed.output, HasSubstr("it is empty"));
  }
  const Variable model("LOCKSTEP_MODEL", ""), folder("LOCKSTEP_PREFIX_DIR", "");
  EXPECT_TRUE(Parse({}).options.has_value());
}

TEST(CommandLineTest, AnExplicitLevelWinsOverVerbose) {
  EXPECT_EQ(Parse({"-v"}).options->log_level, LogLevel::kDebug);
  EXPECT_EQ(Parse({"-v", "--log-level", "error"}).options->log_level, LogLevel::kError);
  EXPECT_EQ(Parse({"--log-level", "error", "serve", "-v"}).options->log_level, LogLevel::kError);
  {
    const Variable verbose("LOCKSTEP_VERBOSE", "true");
    EXPECT_EQ(Parse({}).options->log_level, LogLevel::kDebug);
    EXPECT_EQ(Parse({"--log-level", "error"}).options->log_level, LogLevel::kError);
    const Variable level("LOCKSTEP_LOG_LEVEL", "warning");
    EXPECT_EQ(Parse({}).options->log_level, LogLevel::kWarning);
  }
  const Variable level("LOCKSTEP_LOG_LEVEL", "warning");
  EXPECT_EQ(Parse({"-v"}).options->log_level, LogLevel::kDebug);
}

TEST(CommandLineTest, WhatIsNoNumberIsNoneOfAnyRange) {
  for (const char* flag : {"--temperature", "--top-p", "--min-p"}) {
    for (const char* value : {"nan", "-nan", "NaN", "inf", "1x", "", "-1", "101"}) {
      for (const char* command : {"generate", "chat"}) {
        const ParsedOptions parsed = Parse({command, flag, value});
        EXPECT_EQ(parsed.exit_code, 2) << flag << " " << value;
        EXPECT_THAT(parsed.output, HasSubstr(flag));
      }
    }
    EXPECT_TRUE(Parse({"generate", flag, "0.5"}).options.has_value());
    EXPECT_TRUE(Parse({"generate", flag, "1e-1"}).options.has_value());
  }
}

TEST(CommandLineTest, ABadVariableExitsWith2AndIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"LOCKSTEP_SESSIONS", "abc"},      {"LOCKSTEP_SESSIONS", "0"},
      {"LOCKSTEP_KV_MEMORY", "2GiB"},    {"LOCKSTEP_PORT", "65536"},
      {"LOCKSTEP_KV_TYPE", "f64"},       {"LOCKSTEP_LOG_LEVEL", "loud"},
      {"LOCKSTEP_DRAIN_TIMEOUT", "1.5"}, {"LOCKSTEP_LENIENT", "perhaps"},
      {"LOCKSTEP_API_KEY", ""},          {"LOCKSTEP_API_KEY", "a,,b"},
      {"LOCKSTEP_API_KEY_FILE", ""},     {"LOCKSTEP_CORS_ORIGIN", "a, "},
  };
  for (const auto& [name, value] : cases) {
    const Variable variable(name, value);
    const ParsedOptions parsed = Parse({});
    EXPECT_EQ(parsed.exit_code, 2) << name << "=" << value;
    EXPECT_THAT(parsed.output, HasSubstr(name)) << value;
    EXPECT_EQ(std::count(parsed.output.begin(), parsed.output.end(), '\n'), 1);
  }
}

TEST(CommandLineTest, NumbersAreDecimal) {
  const auto options =
      Parse({"--context", "0512", "--port", "021031", "--sessions", "007"}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->context, 512u);
  EXPECT_EQ(options->http.port, 21031);
  EXPECT_EQ(options->sessions, 7u);
  const Variable queue("LOCKSTEP_QUEUE", "010");
  EXPECT_EQ(Parse({}).options.value().scheduling.max_queued, 10u);
  EXPECT_THAT(Parse({"bench", "--prompt", "010,020"}).options.value().bench.prompt,
              testing::ElementsAre(10, 20));
}

TEST(CommandLineTest, VariablesCanBeListsAndSwitches) {
  const Variable keys("LOCKSTEP_API_KEY", "one, two,three"), on("LOCKSTEP_STRICT", "true"),
      off("LOCKSTEP_NO_METRICS", "0"), none("LOCKSTEP_NO_VLLM_METRICS", "1");
  const auto options = Parse({}).options;
  ASSERT_TRUE(options);
  EXPECT_THAT(options->api_keys, testing::ElementsAre("one", "two", "three"));
  EXPECT_TRUE(options->api.generate.strict);
  EXPECT_TRUE(options->metrics);
  EXPECT_FALSE(options->vllm_metrics);
  EXPECT_THAT(Parse({"--api-key", "a,b"}).options.value().api_keys, testing::ElementsAre("a,b"));
}

TEST(CommandLineTest, ASwitchSaysYesOrNo) {
  const auto strict = [](const char* flag) {
    const ParsedOptions parsed = Parse({flag});
    EXPECT_TRUE(parsed.options) << parsed.output;
    return parsed.options->api.generate.strict;
  };
  for (const char* yes : {"--strict", "--strict=true", "--strict=YES", "--strict=on", "--strict=1",
                          "--strict=enabled"}) {
    EXPECT_TRUE(strict(yes)) << yes;
  }
  const Variable variable("LOCKSTEP_STRICT", "Enabled");
  EXPECT_TRUE(strict("--no-metrics"));
  for (const char* no :
       {"--strict=false", "--strict=No", "--strict=off", "--strict=0", "--strict=disabled"}) {
    EXPECT_FALSE(strict(no)) << no;
  }
  EXPECT_TRUE(Parse({"--strict=no", "--strict"}).options->api.generate.strict);
  EXPECT_FALSE(Parse({"--strict", "--strict=no"}).options->api.generate.strict);
  EXPECT_FALSE(Parse({"bench", "--json=no"}).options->bench.json);
  const std::vector<const char*> wrong[] = {
      {"--strict=maybe"},       {"--strict=2"},
      {"--strict=-1"},          {"--strict=99999999999999999999"},
      {"--verbose=x"},          {"--offline=x"},
      {"generate", "--chat=x"}, {"bench", "--json=x"}};
  for (const auto& arguments : wrong) {
    const ParsedOptions parsed = Parse(arguments);
    const std::string flag = arguments.back();
    EXPECT_EQ(parsed.exit_code, 2) << flag;
    EXPECT_THAT(parsed.output, testing::StartsWith("lockstep: " + flag.substr(0, flag.find('='))));
    EXPECT_THAT(parsed.output, HasSubstr("is none of true, false"));
  }
}

TEST(CommandLineTest, EachLongNameIsAVariable) {
  const Variable context("LOCKSTEP_CTX_SIZE", "64"), model("LOCKSTEP_HF_REPO", "a/b");
  EXPECT_EQ(Parse({}).options.value().context, 64u);
  EXPECT_EQ(Parse({}).options.value().model, "hf://a/b");
  EXPECT_EQ(Parse({"-c", "9"}).options.value().context, 9u);
  {
    const Variable same("LOCKSTEP_CONTEXT", "64"), none("LOCKSTEP_HF", "");
    EXPECT_EQ(Parse({}).options.value().context, 64u);
  }
  const Variable other("LOCKSTEP_CONTEXT", "65");
  EXPECT_EQ(Parse({}).exit_code, 2);
  EXPECT_THAT(Parse({}).output, HasSubstr("LOCKSTEP_CONTEXT and LOCKSTEP_CTX_SIZE"));
  EXPECT_EQ(Parse({"-c", "9"}).options.value().context, 9u);
}

TEST(CommandLineTest, ACommandReadsTheVariablesOfItsFlags) {
  const Variable port("LOCKSTEP_PORT", "abc"), key("LOCKSTEP_API_KEY", ""),
      threads("LOCKSTEP_THREADS", "3"), offline("LOCKSTEP_OFFLINE", "1");
  EXPECT_EQ(Parse({}).exit_code, 2);
  EXPECT_EQ(Parse({"serve"}).exit_code, 2);
  EXPECT_EQ(Parse({"probe"}).exit_code, 2);
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {"list"}, {"rm", "a/b"}, {"pull", "a/b"}, {"inspect", "f"}, {"generate"}, {"chat"}}) {
    EXPECT_TRUE(Parse(arguments).options) << arguments[0] << Parse(arguments).output;
  }
  EXPECT_EQ(Parse({"generate"}).options->threads, 3u);
  EXPECT_EQ(Parse({"inspect", "f"}).options->threads, 3u);
  EXPECT_TRUE(Parse({"pull", "a/b"}).options->hub.offline);
  const Variable context("LOCKSTEP_CONTEXT", "x");
  EXPECT_EQ(Parse({"inspect", "f"}).exit_code, 2);
  EXPECT_TRUE(Parse({"list"}).options);
}

TEST(CommandLineTest, AMisspeltNameIsGuessed) {
  const std::pair<std::vector<const char*>, const char*> cases[] = {
      {{"--modle", "a.gguf"}, "did you mean --model?"},
      {{"--modle=a.gguf"}, "did you mean --model?"},
      {{"serve", "--prot", "1"}, "did you mean --port?"},
      {{"bench", "--promtp", "1"}, "did you mean --prompt?"},
      {{"serv"}, "did you mean serve?"},
      {{"--quantum"}, "see --help"},
      {{"dance"}, "see --help"},
  };
  for (const auto& [arguments, guess] : cases) {
    const ParsedOptions parsed = Parse(arguments);
    EXPECT_EQ(parsed.exit_code, 2);
    EXPECT_THAT(parsed.output, HasSubstr(guess));
  }
}

TEST(CommandLineTest, ListsTakeOneWordForEachFlag) {
  const auto options = Parse({"--api-key", "a", "--cors-origin", "*", "--api-key", "b",
                              "--model-alias", "gpt", "--strict", "inspect", "f"})
                           .options;
  ASSERT_TRUE(options);
  EXPECT_THAT(options->api.generate.names.aliases, testing::ElementsAre("gpt"));
  EXPECT_TRUE(options->api.generate.strict);
  EXPECT_THAT(options->api_keys, testing::ElementsAre("a", "b"));
  EXPECT_THAT(options->api.cors.origins, testing::ElementsAre("*"));
  EXPECT_EQ(options->command, Command::kInspect);
  const Variable key("LOCKSTEP_API_KEY", "secret");
  const ParsedOptions parsed = Parse({});
  ASSERT_TRUE(parsed.options) << parsed.output;
  EXPECT_THAT(parsed.options->api_keys, testing::ElementsAre("secret"));
  EXPECT_THAT(Parse({"--help"}).output, testing::Not(HasSubstr("secret")));
}

TEST(CommandLineTest, AnEmptyVariableCountsAsUnset) {
  const Variable port("LOCKSTEP_PORT", ""), model("LOCKSTEP_MODEL", "");
  ASSERT_TRUE(Parse({}).options.has_value());
  EXPECT_EQ(Parse({}).options->http.port, 8080);
}

}  // namespace
}  // namespace lockstep
