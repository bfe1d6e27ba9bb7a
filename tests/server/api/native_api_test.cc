#include "server/api/native_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "server/http/error_reply.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Result<GenerateRequest> Parse(std::string_view body, bool lenient = false,
                              std::vector<std::string>* ignored = nullptr) {
  static const FakeService service;
  static const ModelNames names;
  const auto json = ParseStrictObject(body);
  if (!json) return tl::unexpected(json.error());
  ReadContext context{service, names, lenient, {}};
  auto request = ReadNativeRequest(*json, context);
  if (ignored != nullptr) *ignored = context.ignored;
  return request;
}

std::string Nested(size_t depth) {
  return R"({"prompt":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
}

struct BadBody {
  std::string body;
  std::string says;   // part of the message
  std::string param;  // of the error
};

TEST(NativeApi, RefusesWhatIsNotAStrictObject) {
  const BadBody cases[] = {
      {"", "is empty", ""},
      {"{", "not acceptable JSON", ""},
      {"{\"prompt\":\"x\"} {}", "not acceptable JSON", ""},
      {"[]", "must be a JSON object", ""},
      {"\"prompt\"", "must be a JSON object", ""},
      {"null", "must be a JSON object", ""},
      {Nested(64), "64 levels", ""},
      {Nested(100'000), "64 levels", ""},
      {std::string(100'000, '['), "64 levels", ""},
      {"{\"prompt\":\"\xff\"}", "UTF-8", ""},
      {"{\"prompt\":\"\xc3\"}", "UTF-8", ""},
      {"{\"prompt\":\"\xed\xa0\x80\"}", "UTF-8", ""},
      {"\xEF\xBB\xBF{\"prompt\":\"x\"}", "byte order mark", ""},
      {R"({"prompt":"\ud800"})", "surrogate", ""},
      {R"({"prompt":"\udc00"})", "surrogate", ""},
      {R"({"prompt":"x","temperature":1e999})", "too large", ""},
      {R"({"prompt":"x","temperature":NaN})", "not acceptable JSON", ""},
      {R"({"prompt":"x","temperature":Infinity})", "not acceptable JSON", ""},
      {R"({"prompt":"x","temperature":0.)" + std::string(1'000'000, '1') + "}", "64 characters",
       ""},
      {R"({"prompt":"x","seed":)" + std::string(1'000'000, '1') + "}", "too large", ""},
      {R"({"prompt":"x","prompt":"y"})", "\"prompt\" occurs twice", ""},
      {R"({"prompt":"x","logit_bias":{"1":1,"1":2}})", "\"1\" occurs twice", ""},
      {std::string("{\"prompt\":\"x\"}\0{}", 17), "NUL", ""},
      {R"({"prompt":"x",})", "not acceptable JSON", ""},
      {R"({'prompt':'x'})", "not acceptable JSON", ""},
      {R"({"prompt":"x"/**/})", "not acceptable JSON", ""},
  };
  for (const BadBody& c : cases) {
    SCOPED_TRACE(c.body.substr(0, 80));
    const auto request = Parse(c.body);
    ASSERT_FALSE(request.has_value());
    EXPECT_EQ(request.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(request.error().message, HasSubstr(c.says));
    EXPECT_LT(request.error().message.size(), 400u);
  }
}

TEST(NativeApi, RefusesBadFieldsByName) {
  const std::pair<const char*, std::vector<const char*>> cases[] = {
      {"prompt",
       {"\"\"", "null", "1", "{}", "true", "[]", "[-1]", "[128]", "[1.5]", "[\"a\"]", "[1,\"a\"]",
        "[[1]]", "[18446744073709551615]"}},
      {"max_tokens", {"0", "-1", "1.5", "\"5\"", "true", "2147483648", "18446744073709551616"}},
      {"temperature", {"-1", "1e9", "\"hot\"", "true", "-0.001"}},
      {"top_k", {"-2", "1099511627776", "1.5", "\"1\""}},
      {"top_p", {"-0.5", "1.01", "\"1\"", "[]"}},
      {"min_p", {"-0.1", "1.1", "{}"}},
      {"repetition_penalty", {"0", "-1", "101", "\"1\""}},
      {"presence_penalty", {"-2.1", "2.1", "\"1\""}},
      {"frequency_penalty", {"-2.1", "2.1", "true"}},
      {"logit_bias",
       {"[1]", "1", R"({"128":1})", R"({"-1":1})", R"({"x":1})", R"({"":1})", R"({"01":1})",
        R"({" 1":1})", R"({"1":"a"})", R"({"1":101})", R"({"1":null})"}},
      {"seed", {"1.5", "\"1\"", "true", "18446744073709551616", "-9223372036854775809"}},
      {"stop", {"1", "[1]", "{}"}},
      {"ignore_eos", {"1", "\"yes\""}},
      {"logprobs", {"-1", "21", "1.5", "\"1\"", "[]"}},
      {"stream", {"\"yes\"", "1"}},
      {"n", {"1"}},
      {"Prompt", {"\"x\""}},
      {"tools", {"[]"}},
  };
  for (const auto& [name, values] : cases) {
    for (const char* value : values) {
      const std::string field = std::string("\"") + name + "\":" + value;
      const std::string body =
          std::string(name) == "prompt" ? "{" + field + "}" : R"({"prompt":"x",)" + field + "}";
      SCOPED_TRACE(body);
      const auto request = Parse(body);
      ASSERT_FALSE(request.has_value());
      EXPECT_EQ(request.error().kind, ErrorKind::kInvalidArgument);
      EXPECT_EQ(request.error().param, name);
      EXPECT_THAT(request.error().message, HasSubstr(name));
    }
  }
  EXPECT_EQ(Parse("{}").error().param, "prompt");
  EXPECT_FALSE(Parse(R"({"prompt":"x","stop":")" + std::string(4097, 'x') + "\"}"));
  std::string stops = "\"0\"";
  for (int i = 1; i < 32; ++i) stops += ",\"" + std::to_string(i) + "\"";
  EXPECT_EQ(Parse(R"({"prompt":"x","stop":[)" + stops + "]}")->options.stop.size(), 32u);
  EXPECT_FALSE(Parse(R"({"prompt":"x","stop":[)" + stops + ",\"32\"]}"));
  // As others' clients send what is off.
  EXPECT_TRUE(Parse(R"({"prompt":"x","stop":""})")->options.stop.empty());
  EXPECT_THAT(Parse(R"({"prompt":"x","stop":["","b"]})")->options.stop, ElementsAre("b"));
  EXPECT_EQ(Parse(R"({"prompt":"x","top_k":-1})")->options.sampling.top_k, 0);
}

TEST(NativeApi, ReadsEveryField) {
  const auto request = Parse(
      R"({"prompt":"a\u0000b","max_tokens":7,"temperature":0,"top_k":3,"top_p":0.5,"min_p":0.25,
          "repetition_penalty":1.5,"presence_penalty":-2,"frequency_penalty":2,
          "logit_bias":{"5":-100,"1":0.5},"seed":-3,"stop":["a","b"],"ignore_eos":true,
          "logprobs":20,"stream":true})");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  EXPECT_EQ(std::get<std::string>(request->prompts.at(0)), std::string("a\0b", 3));
  EXPECT_EQ(request->options.max_tokens, 7u);
  const SamplingParams& s = request->options.sampling;
  EXPECT_EQ(s.temperature, 0);
  EXPECT_EQ(s.top_k, 3);
  EXPECT_EQ(s.top_p, 0.5f);
  EXPECT_EQ(s.min_p, 0.25f);
  EXPECT_EQ(s.repetition_penalty, 1.5f);
  EXPECT_EQ(s.presence_penalty, -2);
  EXPECT_EQ(s.frequency_penalty, 2);
  EXPECT_THAT(s.logit_bias, ElementsAre(Pair(1, 0.5f), Pair(5, -100)));
  EXPECT_EQ(s.seed, static_cast<uint64_t>(-3));
  EXPECT_TRUE(request->has_seed && request->negative_seed);
  EXPECT_THAT(request->options.stop, ElementsAre("a", "b"));
  EXPECT_TRUE(request->options.ignore_eos);
  EXPECT_EQ(s.logprobs, 20);
  EXPECT_TRUE(request->stream);
}

TEST(NativeApi, NullAndAbsentAreTheDefaults) {
  const GenerationOptions defaults;
  for (const char* body :
       {R"({"prompt":"x"})",
        R"({"prompt":"x","max_tokens":null,"temperature":null,"seed":null,"stop":null,
            "logit_bias":null,"logprobs":null,"stream":null})"}) {
    const auto request = Parse(body);
    ASSERT_TRUE(request.has_value()) << request.error().message;
    EXPECT_EQ(request->options.max_tokens, defaults.max_tokens);
    EXPECT_EQ(request->options.sampling.temperature, defaults.sampling.temperature);
    EXPECT_EQ(request->options.sampling.logprobs, -1);
    EXPECT_FALSE(request->has_seed);
    EXPECT_FALSE(request->stream);
    EXPECT_TRUE(request->options.stop.empty());
  }
}

TEST(NativeApi, TakesTheWholeRangeOfValues) {
  const auto seed_of = [](const char* seed) {
    return Parse(std::string(R"({"prompt":[0,127],"seed":)") + seed + "}")->options.sampling.seed;
  };
  EXPECT_EQ(seed_of("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(seed_of("-9223372036854775808"), uint64_t{1} << 63);
  const auto logprobs_of = [](const char* value) {
    return Parse(std::string(R"({"prompt":"x","logprobs":)") + value + "}")
        ->options.sampling.logprobs;
  };
  EXPECT_EQ(logprobs_of("true"), 0);
  EXPECT_EQ(logprobs_of("false"), -1);
  EXPECT_EQ(logprobs_of("0"), 0);
  EXPECT_EQ(logprobs_of("4.0"), 4);
  const auto tiny =
      Parse(R"({"prompt":"x","top_p":1e-300,"repetition_penalty":1e-300,"stop":"end"})");
  EXPECT_GT(tiny->options.sampling.top_p, 0);
  EXPECT_GT(tiny->options.sampling.repetition_penalty, 0);
  EXPECT_THAT(tiny->options.stop, ElementsAre("end"));
}

TEST(NativeApi, IgnoresUnknownFieldsWhereItMayAndTellsThem) {
  const char body[] = R"({"prompt":"x","colour":"y","top_k":3,"zeta":null})";
  EXPECT_EQ(Parse(body).error().param, "colour");
  std::vector<std::string> ignored;
  const auto request = Parse(body, /*lenient=*/true, &ignored);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->options.sampling.top_k, 3);
  EXPECT_THAT(ignored, ElementsAre("colour"));
  EXPECT_FALSE(Parse(R"({"prompt":"x","top_k":-2,"zeta":1})", /*lenient=*/true));
}

TEST(NativeApi, RendersTokensAndAnswers) {
  FakeService service;
  service.script = "A\"";
  const Router router(service);
  HttpRequest request = JsonRequest("/generate", R"({"prompt":"once","seed":-3})");
  const std::string plain = router.Handle(request).body;
  EXPECT_EQ(plain.substr(plain.find(",\"text")),
            R"(,"text":"A\"","tokens":[65,34],"finish_reason":"length",)"
            R"("usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6,)"
            R"("prompt_tokens_details":{"cached_tokens":0}},)"
            R"("timings":{"queue_ms":1.0,"prefill_ms":2.0,"decode_ms":3.0,)"
            R"("draft_n":0,"draft_n_accepted":0,)"
            R"("prefill_tokens_per_second":2000.0,"decode_tokens_per_second":333.333},)"
            R"("seed":-3,"system_fingerprint":"ls1-0123456789abcdef","receipt":{)"
            R"("system_fingerprint":"ls1-0123456789abcdef","seed":-3,"request":)"
            R"("758e8196b30a8b6c30478c970ea3fe5b6635584a1dedacfaa14acc87e9b133a3","prompt":)"
            R"("f6f6cb8fee0999fdd0a169dadd34c3711acc01f56b37424c75c1d1129251d3e7","answer":)"
            R"("39074f577dea3ce1dfcd42552368d1bf0f956d25dbecb1eb453629880acb57e8"}})");
  request.body = R"({"prompt":"once","seed":-3,"logprobs":2,"stream":true})";
  const HttpReply stream = router.Handle(request);
  EXPECT_EQ(stream.next().data, R"({"index":0,"token":65,"text":"A","logprobs":)"
                                R"({"token":65,"text":"A","logprob":-0.1,"bytes":[65],"top":[)"
                                R"({"token":65,"text":"A","logprob":-0.1,"bytes":[65]},)"
                                R"({"token":122,"text":"z","logprob":-2.5,"bytes":[122]}]}})"
                                "\n");
}

TEST(NativeApi, RendersErrorsWithStatus) {
  const std::tuple<ErrorKind, int, const char*, const char*> cases[] = {
      {ErrorKind::kInvalidArgument, 400,
       R"("type":"invalid_request_error","param":"p","code":null)", ""},
      {ErrorKind::kContextExceeded, 400, R"("code":"context_length_exceeded")", ""},
      {ErrorKind::kOverloaded, 429, R"("code":"queue_full")", "1"},
      {ErrorKind::kUnavailable, 503, R"("code":"unavailable")", "5"},
      {ErrorKind::kDeadlineExceeded, 504, R"("code":"deadline_exceeded")", ""},
      {ErrorKind::kNotFound, 404, R"("param":"p","code":"model_not_found")", ""},
      {ErrorKind::kInternal, 500, R"("code":"internal_error")", ""},
  };
  for (const auto& [kind, status, part, retry_after] : cases) {
    const HttpReply reply = ErrorReply(Error{kind, "why \xff", "p"});
    EXPECT_EQ(reply.status, status);
    EXPECT_THAT(reply.body, HasSubstr(part));
    EXPECT_THAT(reply.body, HasSubstr("{\"error\":{\"message\":\"why \xEF\xBF\xBD\""));
    EXPECT_EQ(FindHeader(reply.headers, "retry-after"), retry_after);
    EXPECT_EQ(FindHeader(reply.headers, "X-Should-Retry"), status == 504 ? "false" : "");
  }
}

TEST(NativeApi, AStreamThatWaitsSaysHowFarThePromptIs) {
  FakeService service;
  ApiSettings settings;
  settings.generate.keep_alive = std::chrono::milliseconds(20);
  const Router router(service, settings);
  const HttpReply reply = PostJson(router, "/generate", R"({"prompt":"once","stream":true})");
  const auto event = ParseStrictObject(reply.next().data);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ((*event)["text"], "");
  EXPECT_EQ((*event)["prompt_progress"]["total"], 4);
  EXPECT_EQ((*event)["prompt_progress"]["processed"], 0);
}

}  // namespace
}  // namespace lockstep
