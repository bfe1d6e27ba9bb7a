#include "server/app/parse_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

#include "core/kernels/isas.h"
#include "server/host/cpu_quota.h"
#include "tests/server/app/parse.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(Options, DefaultsServeTheEmbeddedModel) {
  const ParsedOptions parsed = Parse({});
  ASSERT_TRUE(parsed.options.has_value()) << parsed.output;
  EXPECT_EQ(parsed.options->command, Command::kServe);
  EXPECT_EQ(parsed.options->model, "");
  EXPECT_EQ(parsed.options->http.host, "127.0.0.1");
  EXPECT_EQ(parsed.options->http.port, 8080);
  EXPECT_EQ(parsed.options->threads, UsableCpus());
  EXPECT_EQ(parsed.options->drain_timeout, std::chrono::seconds(25));
}

TEST(Options, BadValuesExitWith2AndNameTheFlag) {
  const std::vector<const char*> cases[] = {
      {"--port", "0"},
      {"--port", "65536"},
      {"--port", "-1"},
      {"--port", "http"},
      {"--port", "80.5"},
      {"--port", "8080x"},
      {"--port"},
      {"--threads", "0"},
      {"--threads", "-2"},
      {"--threads", "1025"},
      {"--sessions", "0"},
      {"--sessions", "1e3"},
      {"--context", "0"},
      {"--context", "99999999999999999999"},
      {"--queue", "0"},
      {"--queue", "many"},
      {"--prefill-tokens", "0"},
      {"--drain-timeout", "0"},
      {"--queue-tokens", "0"},
      {"--queue-timeout", "0"},
      {"--first-token-timeout", "soon"},
      {"--request-timeout", "-1"},
      {"--stall-timeout", "0"},
      {"--kv-memory", "0"},
      {"--prefix-cache", "-1"},
      {"--max-body", "0"},
      {"--api-key"},
      {"--drain-timeout", "-5"},
      {"--log-level", "loud"},
      {"--log-format", "xml"},
      {"--host", ""},
      {"--no-such-flag"},
      {"serve", "--port", "x"},
      {"bench", "--batch", "0"},
      {"bench", "--prompt", "x"},
      {"perplexity", "--context", "0"},
      {"perplexity", "--chunks", "-1"},
      {"bench", "--depth", "-1"},
      {"bench", "--repeat", "0"},
      {"--port", "1", "--port", "2"},
      {"--port", "0x50"},
      {"--port", "+80"},
      {"--threads", ""},
      {"--api-key", ""},
      {"--api-key-file", ""},
      {"--allowed-host", ""},
  };
  for (const auto& arguments : cases) {
    const ParsedOptions parsed = Parse(arguments);
    const char* flag = arguments[0][0] == '-' ? arguments[0] : arguments[1];
    SCOPED_TRACE(flag);
    EXPECT_FALSE(parsed.options.has_value());
    EXPECT_EQ(parsed.exit_code, 2);
    EXPECT_THAT(parsed.output, HasSubstr(flag));
  }
  EXPECT_EQ(Parse({"dance"}).exit_code, 2);
  EXPECT_EQ(Parse({"inspect"}).exit_code, 2);
  EXPECT_EQ(Parse({"perplexity"}).exit_code, 2);
}

// A plan that fails for what was asked for fails at each start: exit code 2.
TEST(Options, EachFlagThatTakesMemoryIsAChoice) {
  EXPECT_FALSE(Parse({}).options->sizes_given);
  for (const char* flag : {"--sessions", "--context", "--threads", "--queue", "--memory"}) {
    EXPECT_TRUE(Parse({flag, "9"}).options->sizes_given) << flag;
  }
  // Of several models, one that does not fit now may do so later.
  EXPECT_FALSE(Parse({"--memory", "9", "--models-dir", "m"}).options->sizes_given);
}

TEST(Options, ASystemMessageIsOneOfAChat) {
  EXPECT_THAT(Parse({"generate", "--system", "x"}).output, HasSubstr("--chat"));
  EXPECT_EQ(Parse({"generate", "--system", "x"}).exit_code, 2);
  EXPECT_TRUE(Parse({"generate", "--chat", "--system", "x"}).options.has_value());
}

TEST(Options, AddressesAreWrittenAsTheyAreCompared) {
  const ParsedOptions parsed =
      Parse({"--host", "[::1]", "--cors-origin", "HTTP://a.b/", "--allowed-host", "a.b"});
  ASSERT_TRUE(parsed.options.has_value()) << parsed.output;
  EXPECT_EQ(parsed.options->http.host, "::1");
  EXPECT_EQ(parsed.options->api.cors.origins, std::vector<std::string>{"http://a.b"});
  const std::vector<const char*> cases[] = {
      {"--host", "http://127.0.0.1"},  {"--host", "127.0.0.1:9200"},
      {"--cors-origin", "foo"},        {"--cors-origin", "http://a.b/c"},
      {"--allowed-host", "http://x/"}, {"probe", "--host", "a:1"}};
  for (const auto& arguments : cases) {
    EXPECT_EQ(Parse(arguments).exit_code, 2) << arguments.back();
    EXPECT_THAT(Parse(arguments).output, HasSubstr(arguments[arguments.size() - 2]));
  }
}

// With every version of the library, of which the later ones pass over a variable that is wrong.
// What it did is the default; a start that still has it must not fail, nor its help show it.
TEST(Options, LenientIsTakenWithoutEffect) {
  const auto options = Parse({"--lenient"}).options;
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->lenient_given);
  EXPECT_FALSE(options->api.generate.strict);
  EXPECT_THAT(Parse({"--help"}).output, testing::Not(HasSubstr("--lenient")));
}

TEST(Options, TheModelNeedsNoFlag) {
  for (const auto& arguments :
       std::vector<std::vector<const char*>>{{"a.gguf"},
                                             {"serve", "a.gguf"},
                                             {"a.gguf", "--port", "1"},
                                             {"-m", "a.gguf"},
                                             {"--model=a.gguf"},
                                             {"bench", "-m", "a.gguf"},
                                             {"bench", "a.gguf"},
                                             {"--model", "a.gguf", "a.gguf"}}) {
    const ParsedOptions parsed = Parse(arguments);
    ASSERT_TRUE(parsed.options) << parsed.output;
    EXPECT_EQ(parsed.options->model, "a.gguf");
  }
  EXPECT_EQ(Parse({"/models/file"}).options.value().model, "/models/file");
  EXPECT_EQ(Parse({"-c", "9"}).options.value().context, 9u);
  EXPECT_EQ(Parse({"--ctx-size", "9"}).options.value().context, 9u);
  EXPECT_EQ(Parse({"-v"}).options.value().log_level, LogLevel::kDebug);
  EXPECT_THAT(Parse({"a.gguf", "b.gguf"}).output, HasSubstr("two models"));
}

TEST(Options, TheEndOfAServer) {
  const auto options = Parse({"--drain-delay", "5", "--keep-alive-timeout", "90"}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->drain_delay, std::chrono::seconds(5));
  EXPECT_EQ(options->http.idle, std::chrono::seconds(90));
  EXPECT_EQ(Parse({"--drain-delay", "0"}).options.value().drain_delay, std::chrono::seconds(0));
}

TEST(Options, WhoSharesPrefixes) {
  EXPECT_EQ(Parse({}).options.value().api.prefix_scope, PrefixScope::kKey);
  EXPECT_EQ(Parse({"--prefix-cache-scope", "all"}).options.value().api.prefix_scope,
            PrefixScope::kAll);
  EXPECT_EQ(Parse({"--prefix-cache-scope", "client"}).exit_code, 2);
}

TEST(Options, PrefixesAreKeptInOnePlaceAndNoPasswordIsShown) {
  EXPECT_EQ(Parse({"--prefix-store", "redis://:hunter2@cache/1"}).options.value().prefix_store,
            "redis://:hunter2@cache/1");
  for (const ParsedOptions& refused :
       {Parse({"--prefix-store", "redis://:hunter2@:1"}),
        Parse({"--prefix-store", "redis://:hunter2@cache", "--prefix-dir", "/tmp"})}) {
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.output, HasSubstr("lockstep: --prefix-store: "));
    EXPECT_THAT(refused.output, testing::Not(HasSubstr("hunter2")));
  }
}

TEST(Options, NoSecondsAreNoDeadline) {
  const auto defaults = Parse({}).options.value().api.deadlines;
  EXPECT_EQ(defaults.total, kNoDeadline);
  EXPECT_EQ(defaults.first_token, kNoDeadline);
  EXPECT_EQ(defaults.queue, std::chrono::seconds(30));
  const Variable variable("LOCKSTEP_REQUEST_TIMEOUT", "7");
  EXPECT_EQ(Parse({}).options.value().api.deadlines.total, std::chrono::seconds(7));
  EXPECT_EQ(Parse({"--request-timeout", "0"}).options.value().api.deadlines.total, kNoDeadline);
  EXPECT_EQ(Parse({"--queue-timeout", "0"}).exit_code, 2);
}

TEST(Options, LimitsOfRequestsAndMemory) {
  const auto options =
      Parse({"--queue-tokens", "500", "--queue-timeout", "3", "--first-token-timeout", "4",
             "--request-timeout", "5", "--stall-timeout", "6", "--prefix-cache", "0", "--kv-memory",
             "70", "--max-body", "80", "--no-metrics", "--no-vllm-metrics"})
          .options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->scheduling.max_queued_tokens, 500u);
  EXPECT_EQ(options->api.deadlines.queue, std::chrono::seconds(3));
  EXPECT_EQ(options->api.deadlines.first_token, std::chrono::seconds(4));
  EXPECT_EQ(options->api.deadlines.total, std::chrono::seconds(5));
  EXPECT_EQ(options->scheduling.stall_timeout, std::chrono::seconds(6));
  EXPECT_EQ(options->prefix_cache_mib, 0u);
  EXPECT_TRUE(options->prefix_cache_given);
  EXPECT_EQ(options->kv_memory_mib, 70u);
  EXPECT_EQ(options->http.limits.body, 80u);
  EXPECT_FALSE(options->metrics);
  EXPECT_FALSE(options->vllm_metrics);
}

TEST(Options, CommandsTakeTheSharedFlags) {
  const auto inspect = Parse({"inspect", "m.gguf"});
  EXPECT_EQ(inspect.options->command, Command::kInspect);
  EXPECT_EQ(inspect.options->inspect_file, "m.gguf");
  const auto bench = Parse({"bench", "--batch", "1,8", "--json", "--threads", "2", "--model", "m",
                            "--depth", "0,128", "--prompt", "0", "--prefill-tokens", "512"});
  EXPECT_EQ(bench.options->command, Command::kBench);
  EXPECT_THAT(bench.options->bench.batch, testing::ElementsAre(1, 8));
  EXPECT_THAT(bench.options->bench.depth, testing::ElementsAre(0, 128));
  EXPECT_THAT(bench.options->bench.prompt, testing::ElementsAre(0));
  EXPECT_EQ(bench.options->bench.prefill_tokens, 512u);
  EXPECT_TRUE(bench.options->bench.json);
  EXPECT_EQ(bench.options->threads, 2u);
  const auto perplexity = Parse({"perplexity", "--file", "t.txt", "--context", "64", "--chunks",
                                 "3", "--model", "m", "--isa", "scalar"});
  EXPECT_EQ(perplexity.options->command, Command::kPerplexity);
  EXPECT_EQ(perplexity.options->perplexity.file, "t.txt");
  EXPECT_EQ(perplexity.options->perplexity.context, 64u);
  EXPECT_EQ(perplexity.options->perplexity.chunks, 3u);
  EXPECT_EQ(perplexity.options->perplexity.model, "m");
  EXPECT_EQ(perplexity.options->perplexity.isa, "scalar");
  const auto probe = Parse({"probe", "--port", "99", "--path", "/livez"});
  EXPECT_EQ(probe.options->command, Command::kProbe);
  EXPECT_EQ(probe.options->http.port, 99);
  EXPECT_EQ(probe.options->probe_path, "/livez");
}

TEST(Options, ModelsByName) {
  EXPECT_EQ(Parse({"--hf", "a/b:Q8_0"}).options->model, "hf://a/b:Q8_0");
  EXPECT_EQ(Parse({"-hf", "a/b"}).options->model, "hf://a/b");
  EXPECT_EQ(Parse({"--hf-repo", "hf://a/b"}).options->model, "hf://a/b");
  EXPECT_EQ(Parse({"hf://a/b"}).options->model, "hf://a/b");
  EXPECT_EQ(Parse({"--model", "https://h/m.gguf"}).options->model, "https://h/m.gguf");
  EXPECT_EQ(Parse({"bench", "--hf", "a/b"}).options->bench.model, "hf://a/b");
  EXPECT_TRUE(Parse({"--hf", "a/b", "--offline"}).options->hub.offline);
  const auto pull = Parse({"pull", "a/b", "c/d:Q4_0"});
  EXPECT_EQ(pull.options->command, Command::kPull);
  EXPECT_THAT(pull.options->hub.names, testing::ElementsAre("a/b", "c/d:Q4_0"));
  EXPECT_EQ(Parse({"list"}).options->command, Command::kList);
  EXPECT_EQ(Parse({"rm", "a/b"}).options->command, Command::kRemove);
  for (const std::vector<const char*>& wrong :
       std::vector<std::vector<const char*>>{{"--hf", "a"},
                                             {"--hf", "/a/b.gguf"},
                                             {"hf://a"},
                                             {"--embedding-model", "hf://a"},
                                             {"--draft-model", "hf://a"},
                                             {"inspect", "hf://a"},
                                             {"pull"},
                                             {"rm"},
                                             {"--hf", "a/b", "--model", "m"},
                                             {"--hf", "a/b", "m.gguf"}}) {
    EXPECT_EQ(Parse(wrong).exit_code, 2) << wrong[0];
  }
  const Variable model("LOCKSTEP_MODEL", "m.gguf");
  EXPECT_EQ(Parse({"--hf", "a/b"}).options->model, "hf://a/b");
  const Variable hf("LOCKSTEP_HF", "c/d");
  EXPECT_EQ(Parse({"--hf", "a/b"}).options->model, "hf://a/b");
  EXPECT_EQ(Parse({"--model", "x.gguf"}).options->model, "x.gguf");
  EXPECT_EQ(Parse({"x.gguf"}).exit_code, 2);  // as with LOCKSTEP_MODEL alone
  EXPECT_EQ(Parse({}).exit_code, 2);
}

TEST(Options, HelpAndVersionExitWith0) {
  for (const auto& arguments :
       std::vector<std::vector<const char*>>{{"--help"}, {"serve", "--help"}}) {
    const ParsedOptions parsed = Parse(arguments);
    EXPECT_EQ(parsed.exit_code, 0);
    for (const char* part : {"curl", "--prefill-tokens", "LOCKSTEP_PORT", "inspect", "probe"}) {
      EXPECT_THAT(parsed.output, HasSubstr(part));
    }
  }
  // A command's help has the flags of the program that it obeys, too.
  for (const char* flag : {"--batch", "--model", "--threads", "--isa", "--prefill-tokens"}) {
    EXPECT_THAT(Parse({"bench", "--help"}).output, HasSubstr(flag));
  }
  for (const char* flag : {"--chunks", "--model", "LOCKSTEP_MODEL", "--kv-type"}) {
    EXPECT_THAT(Parse({"perplexity", "--help"}).output, HasSubstr(flag));
  }
  for (const char* flag : {"--path", "--host", "--port"}) {
    EXPECT_THAT(Parse({"probe", "--help"}).output, HasSubstr(flag));
  }
  EXPECT_THAT(Parse({"--version"}).output, testing::MatchesRegex("lockstep [0-9.]+\n"));
  EXPECT_EQ(Parse({"--version"}).exit_code, 0);
}

// The README's table is what --help says: flag, default, meaning.
TEST(Options, TheReadmeHasTheFlagsOfTheHelp) {
  std::istringstream help(Parse({"--help"}).output);
  // "  -m,--model TEXT=default (Env:LOCKSTEP_MODEL)", then the meaning, on that line or the next. A
  // later version of the library has " [default]".
  const std::regex flag(R"(^  ((?:-\w,)?--[^ ]+)(?: (?:TEXT|N))?(?:=(\S+)| \[(.*?)\])?(?: \.\.\.)?)"
                        R"(\s*(?:\(Env:LOCKSTEP_\w+\))?(?:\s+(\S.*))?$)");
  std::string table = "| flag | default | |\n|---|---|---|\n";
  for (std::string line; std::getline(help, line);) {
    std::smatch part;
    if (!std::regex_match(line, part, flag)) continue;
    const std::string names = std::regex_replace(part[1].str(), std::regex(","), "`, `");
    const std::string value = part[2].str() + part[3].str();
    std::string meaning = part[4];
    if (names.ends_with("--help") || names == "--version") continue;
    if (meaning.empty() && std::getline(help, line)) {
      meaning = line.substr(std::min(line.find_first_not_of(' '), line.size()));
    }
    table += "| `" + names + "` | " + value + " | " + meaning + " |\n";
  }
  std::ifstream file(LOCKSTEP_TEST_DATA_DIR "/../../server/README.md");
  std::string readme(std::istreambuf_iterator<char>(file), {});
#if !defined(__x86_64__)  // whose instruction sets the README names
  readme = std::regex_replace(readme, std::regex("(: auto, or )[^;]*"), "$1" + IsaNames());
#endif
  EXPECT_THAT(table, HasSubstr("--port"));
  EXPECT_NE(readme.find(table), readme.npos) << "server/README.md should have this table:\n"
                                             << table;
}

}  // namespace
}  // namespace lockstep
