// /api/chat before a fake service: what messages and options may be, and the lines of an answer.
#include "server/api/ollama/ollama_chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// Writes down all that it is given.
constexpr char kDump[] = "{% for m in messages %}[{{ m | tojson }}]{% endfor %}";
constexpr char kTools[] =
    R"(,"tools":[{"type":"function","function":{"name":"add","description":"Adds.","parameters":
        {"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}},
        {"type":"function","function":{"name":"now"}}])";
constexpr char kUser[] = R"([{"role":"user","content":"x"}])";

class OllamaChatTest : public ApiFixture {
 protected:
  OllamaChatTest() : ApiFixture("tale", kCallTemplate, FinishReason::kStop) {}

  HttpReply Post(const std::string& messages, const std::string& fields) {
    return PostJson(router_, "/api/chat",
                    R"({"model":"any","messages":)" + messages + fields + "}");
  }
  Json Whole(const std::string& fields) {
    return Answer(Post(kUser, R"(,"stream":false)" + fields));
  }
  // The lines of a stream.
  std::vector<Json> Lines(const std::string& fields) {
    HttpReply reply = Post(kUser, fields);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.content_type, "application/x-ndjson");
    const std::string body = Read(reply);
    std::vector<Json> lines;
    for (size_t begin = 0; begin < body.size();) {
      const size_t end = body.find('\n', begin);
      lines.push_back(Json::parse(body.substr(begin, end - begin), nullptr, false));
      begin = end + 1;
    }
    return lines;
  }
  GenerationOptions Options(const std::string& options) {
    EXPECT_EQ(Post(kUser, R"(,"stream":false,"options":)" + options).status, 200) << options;
    return LastOptions();
  }
  std::string Prompt(const std::string& messages) {
    EXPECT_EQ(Post(messages, R"(,"stream":false)").status, 200) << messages;
    return LastPrompt();
  }
};

TEST_F(OllamaChatTest, AnswersWhole) {
  const Json answer = Whole(R"(,"options":{"seed":7})");
  EXPECT_EQ(answer["model"], "any");
  EXPECT_THAT(answer["created_at"].get<std::string>(),
              testing::MatchesRegex(".{10}T.{8}\\.[0-9]{9}Z"));
  EXPECT_EQ(answer["message"], Json::parse(R"({"role":"assistant","content":"tale"})"));
  EXPECT_EQ(answer["done"], true);
  EXPECT_EQ(answer["done_reason"], "stop");
  EXPECT_EQ(answer["eval_count"], 4);
  EXPECT_EQ(answer["total_duration"], 6'000'000);
  EXPECT_EQ(answer["load_duration"], 0);
  EXPECT_EQ(answer["prompt_eval_duration"], 2'000'000);
  EXPECT_EQ(answer["eval_duration"], 3'000'000);
  EXPECT_EQ(answer["seed"], 7);
  EXPECT_EQ(answer.contains("logprobs"), false);
}

TEST_F(OllamaChatTest, StreamsUnlessToldNotTo) {
  const std::vector<Json> lines = Lines("");
  ASSERT_EQ(lines.size(), 5u);
  std::string text;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(lines[i]["done"], false);
    text += lines[i]["message"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, "tale");
  EXPECT_EQ(lines[4]["message"], Json::parse(R"({"role":"assistant","content":""})"));
  EXPECT_EQ(lines[4]["done"], true);
  EXPECT_EQ(lines[4]["done_reason"], "stop");
  EXPECT_EQ(lines[4]["eval_count"], 4);
}

TEST_F(OllamaChatTest, LogprobsComeWithTheirTokens) {
  const Json whole = Whole(R"(,"logprobs":true,"top_logprobs":2)");
  ASSERT_EQ(whole["logprobs"].size(), 4u);
  EXPECT_EQ(whole["logprobs"][0],
            Json::parse(R"({"token":"t","logprob":-0.1,"bytes":[116],"top_logprobs":[
                {"token":"t","logprob":-0.1,"bytes":[116]},
                {"token":"z","logprob":-2.5,"bytes":[122]}]})"));
  const std::vector<Json> lines = Lines(R"(,"logprobs":true)");
  EXPECT_EQ(lines[1]["logprobs"][0]["token"], "a");
  EXPECT_EQ(service_.request(1).options.sampling.logprobs, 0);
}

TEST_F(OllamaChatTest, ACallComesWholeWithItsArgumentsAsAnObject) {
  service_.script =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>\n"
      "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  const Json calls = Json::parse(R"([{"name":"add","arguments":{"a":2}},
                                     {"name":"now","arguments":{}}])");
  Json whole = Whole(kTools)["message"];
  EXPECT_EQ(whole["content"], "");
  std::vector<Json> streamed;
  for (const Json& line : Lines(kTools)) {
    EXPECT_EQ(line["message"]["content"], "");
    if (!line["message"].contains("tool_calls")) continue;
    for (const Json& call : line["message"]["tool_calls"]) streamed.push_back(call);
  }
  ASSERT_EQ(whole["tool_calls"].size(), 2u);
  ASSERT_EQ(streamed.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    for (const Json& call : {whole["tool_calls"][i], streamed[i]}) {
      EXPECT_NE(call["id"], "");
      EXPECT_EQ(call["function"]["index"], i);
      EXPECT_EQ(call["function"]["name"], calls[i]["name"]);
      EXPECT_EQ(call["function"]["arguments"], calls[i]["arguments"]);
    }
  }
  const auto grammar = service_.request(0).options.grammar;
  ASSERT_NE(grammar, nullptr);
  EXPECT_TRUE(Matches(grammar->grammar(), service_.script));
  EXPECT_FALSE(Matches(grammar->grammar(),
                       "<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>"));
}

TEST_F(OllamaChatTest, ACallThatIsCutOffIsNotRun) {
  service_.script = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\"";
  service_.script_end = FinishReason::kLength;
  EXPECT_FALSE(Whole(kTools)["message"].contains("tool_calls"));
  const std::vector<Json> lines = Lines(kTools);
  EXPECT_EQ(lines.back()["done_reason"], "length");
  for (const Json& line : lines) EXPECT_FALSE(line["message"].contains("tool_calls"));
}

TEST_F(OllamaChatTest, ThoughtsAreApartFromTheText) {
  service_.SetChatTemplate("{{ messages[0].content }}<think>\n{# ends in </think> #}");
  service_.script = "a b\n</think>\n\nc";
  EXPECT_EQ(Whole("")["message"],
            Json::parse(R"({"role":"assistant","content":"c","thinking":"a b"})"));
  std::string thinking, text;
  for (const Json& line : Lines("")) {
    EXPECT_TRUE(thinking.empty() || text.empty() || !line["message"].contains("thinking"));
    thinking += line["message"].value("thinking", std::string());
    text += line["message"]["content"].get<std::string>();
  }
  EXPECT_EQ(thinking, "a b");
  EXPECT_EQ(text, "c");
}

TEST_F(OllamaChatTest, ThinkIsTheTemplatesSwitch) {
  const auto prompt = [this](const std::string& think) {
    EXPECT_EQ(Post(kUser, R"(,"stream":false,"think":)" + think).status, 200) << think;
    const auto tokens = service_.request(service_.submitted() - 1).prompt;
    return std::string(tokens.begin(), tokens.end());
  };
  service_.SetChatTemplate("{{ enable_thinking }}<think></think>");
  EXPECT_EQ(prompt("true"), "True<think></think>");
  EXPECT_EQ(prompt("false"), "False<think></think>");
  EXPECT_EQ(prompt("\"none\""), "False<think></think>");
  EXPECT_EQ(prompt("\"\""), "<think></think>");
  service_.SetChatTemplate("{{ reasoning_effort }}");
  EXPECT_EQ(prompt("\"low\""), "low");
  service_.SetChatTemplate("{{ messages[0].content }}");
  EXPECT_EQ(FindHeader(Post(kUser, R"(,"stream":false,"think":true)").headers, "x-ignored-params"),
            "think");
}

TEST_F(OllamaChatTest, MessagesBecomeWhatTemplatesKnow) {
  service_.SetChatTemplate(kDump);
  const std::pair<std::string, std::string> cases[] = {
      {R"([{"role":"System","content":"s","images":[],"tool_calls":[]},{"role":"user","content":"u"}])",
       R"([{"role": "system", "content": "s"}][{"role": "user", "content": "u"}])"},
      {R"([{"role":"user"}])", R"([{"role": "user", "content": ""}])"},
      {R"([{"role":"assistant","content":"a","thinking":"t"},{"role":"user","content":"u"}])",
       R"([{"role": "assistant", "content": "a", "reasoning_content": "t"}])"
       R"([{"role": "user", "content": "u"}])"},
      {R"([{"role":"assistant","content":"","tool_calls":[
            {"function":{"index":0,"name":"f","arguments":{"a":1}}},
            {"id":"x","type":"function","function":{"name":"g","arguments":"{\"b\":2}"}}]},
           {"role":"tool","tool_name":"g","content":"2"},{"role":"tool","content":"1"}])",
       R"([{"role": "assistant", "content": null, "tool_calls": [{"id": "call00000", )"
       R"("type": "function", "function": {"name": "f", "arguments": {"a": 1}}}, {"id": "x", )"
       R"("type": "function", "function": {"name": "g", "arguments": {"b": 2}}}]}])"
       R"([{"role": "tool", "content": "2", "tool_call_id": "x", "name": "g"}])"
       R"([{"role": "tool", "content": "1", "tool_call_id": "call00000", "name": "f"}])"},
      {R"([{"role":"tool","tool_call_id":"y","content":"1"}])",
       R"([{"role": "tool", "content": "1", "tool_call_id": "y"}])"},
  };
  for (const auto& [messages, prompt] : cases) EXPECT_EQ(Prompt(messages), prompt) << messages;
}

TEST_F(OllamaChatTest, RefusesByName) {
  const std::pair<std::string, const char*> cases[] = {
      {R"([{"role":"user","content":"x","images":["aGk="]}])", "messages[0].images"},
      {R"([{"role":"wizard","content":"x"}])", "messages[0].role"},
      {R"([{"role":"user","content":1}])", "messages[0].content"},
      {R"({})", "messages"},
      {R"([1])", "messages[0]"},
      {R"([{"role":"assistant","tool_calls":[{"function":{}}]}])",
       "messages[0].tool_calls[0].function.name"},
      {R"([{"role":"assistant","tool_calls":[{}]}])", "messages[0].tool_calls[0].function"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[1]}}]}])",
       "messages[0].tool_calls[0].function.arguments"},
      {std::string(kUser) + R"(,"format":"xml")", "format"},
      {std::string(kUser) + R"(,"think":"deep")", "think"},
      {std::string(kUser) + R"(,"keep_alive":[])", "keep_alive"},
      {std::string(kUser) + R"(,"options":[])", "options"},
      {std::string(kUser) + R"(,"options":{"temperature":"hot"})", "options.temperature"},
      {std::string(kUser) + R"(,"top_logprobs":21)", "top_logprobs"},
      {std::string(kUser) + R"(,"tools":[{"type":"function","function":{}}])",
       "tools[0].function.name"},
  };
  for (const auto& [messages, says] : cases) {
    const HttpReply reply = Post(messages, "");
    EXPECT_EQ(reply.status, 400) << messages;
    const Json json = Json::parse(reply.body, nullptr, false);
    EXPECT_THAT(json["error"].get<std::string>(), HasSubstr(says)) << messages;
  }
  EXPECT_EQ(service_.submitted(), 0u);
}

TEST_F(OllamaChatTest, OptionsHaveOllamasDefaults) {
  const SamplingParams defaults = Options("{}").sampling;
  EXPECT_EQ(defaults.temperature, 0.8f);
  EXPECT_EQ(defaults.top_k, 40);
  EXPECT_EQ(defaults.top_p, 0.9f);
  EXPECT_EQ(defaults.min_p, 0);
  EXPECT_EQ(defaults.repetition_penalty, 1);
  EXPECT_EQ(Options("null").max_tokens, size_t{INT32_MAX});

  const GenerationOptions all = Options(
      R"({"temperature":0,"top_k":20.0,"top_p":1,"min_p":0.1,"repeat_penalty":1.2,
          "presence_penalty":0.5,"frequency_penalty":0.25,"seed":11.0,"stop":["a","b"],
          "num_predict":9,"num_ctx":32,"num_gpu":-1,"use_mmap":null})");
  EXPECT_EQ(all.sampling.temperature, 0);
  EXPECT_EQ(all.sampling.top_k, 20);
  EXPECT_EQ(all.sampling.top_p, 1);
  EXPECT_EQ(all.sampling.min_p, 0.1f);
  EXPECT_EQ(all.sampling.repetition_penalty, 1.2f);
  EXPECT_EQ(all.sampling.presence_penalty, 0.5f);
  EXPECT_EQ(all.sampling.frequency_penalty, 0.25f);
  EXPECT_EQ(all.sampling.seed, 11u);
  EXPECT_EQ(all.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(all.max_tokens, 9u);
  EXPECT_EQ(Options(R"({"num_predict":-2})").max_tokens, size_t{INT32_MAX});
  EXPECT_EQ(Options(R"({"top_p":0})").sampling.top_p, 1e-9F);
  EXPECT_EQ(Options(R"({"top_p":-1})").sampling.top_p, 1e-9F);
  EXPECT_EQ(Options(R"({"repeat_penalty":1.5,"repeat_last_n":0})").sampling.repeat_last_n, 0);
  // Any seed: it is drawn, and told.
  EXPECT_NE(Options(R"({"seed":-1})").sampling.seed, Options(R"({"seed":-1})").sampling.seed);
}

TEST_F(OllamaChatTest, WhatHasNoEffectIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"mirostat":2,"mirostat_tau":5})", "options.mirostat"},
      {R"({"mirostat":0,"typical_p":1.0,"tfs_z":1})", ""},
      {R"({"typical_p":0.7})", ""},
      {R"({"num_ctx":4096})", "options.num_ctx"},
      {R"({"repeat_last_n":33})", ""},
      {R"({"repeat_last_n":33,"repeat_penalty":1.1})", ""},
      {R"({"num_thread":8,"num_batch":2,"main_gpu":0,"low_vram":false})", ""},
      {R"({"unheard_of":1})", "options.unheard_of"},
  };
  for (const auto& [options, ignored] : cases) {
    const HttpReply reply = Post(kUser, std::string(R"(,"stream":false,"options":)") + options);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(FindHeader(reply.headers, "x-ignored-params"), ignored) << options;
  }
}

TEST_F(OllamaChatTest, FormatBindsTheAnswer) {
  const auto allows = [this](const char* format, const char* text) {
    EXPECT_EQ(Post(kUser, std::string(R"(,"stream":false,"format":)") + format).status, 200);
    const auto grammar = service_.request(service_.submitted() - 1).options.grammar;
    return grammar == nullptr || Matches(grammar->grammar(), text);
  };
  constexpr char kSchema[] =
      R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]})";
  EXPECT_TRUE(allows("\"json\"", R"({"b": 1})"));
  EXPECT_FALSE(allows("\"json\"", "b"));
  EXPECT_TRUE(allows(kSchema, R"({"a": 1})"));
  EXPECT_FALSE(allows(kSchema, R"({"b": 1})"));
  EXPECT_TRUE(allows("\"\"", "anything"));
  EXPECT_TRUE(allows("null", "anything"));
}

// @langchain/ollama asks for structured output so.
TEST_F(OllamaChatTest, AFormatBeatsTheToolsThatThePromptShows) {
  service_.script = "{}";
  const Json answer = Whole(std::string(kTools) + R"(,"format":"json")");
  EXPECT_EQ(answer["message"]["content"], "{}");
  const Job job = service_.request(0);
  EXPECT_TRUE(Matches(job.options.grammar->grammar(), "{}"));
  EXPECT_FALSE(Matches(job.options.grammar->grammar(),
                       "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"));
  const std::string prompt(job.prompt.begin(), job.prompt.end());
  EXPECT_THAT(prompt, HasSubstr("{\"name\": add"));
}

TEST_F(OllamaChatTest, WithoutMessagesTheModelIsLoadedAlready) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"model":"m"})", "load"},
      {R"({"model":"m","messages":[]})", "load"},
      {R"({"model":"m","messages":[],"keep_alive":"5m"})", "load"},
      {R"({"model":"m","messages":[],"keep_alive":"10m0s"})", "load"},
      {R"({"model":"m","messages":[],"keep_alive":-1})", "load"},
      {R"({"model":"m","messages":[],"keep_alive":0})", "unload"},
      {R"({"model":"m","messages":[],"keep_alive":"0"})", "unload"},
      {R"({"model":"m","messages":null,"keep_alive":"0m0s","stream":false})", "unload"},
  };
  for (const auto& [body, reason] : cases) {
    const HttpReply reply = PostJson(router_, "/api/chat", body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    const Json json = Json::parse(reply.body, nullptr, false);
    EXPECT_EQ(json["done"], true);
    EXPECT_EQ(json["done_reason"], reason) << body;
    EXPECT_EQ(json["message"]["content"], "");
  }
  EXPECT_EQ(service_.submitted(), 0u);
}

TEST_F(OllamaChatTest, AnErrorMidStreamIsALine) {
  service_.script.clear();
  auto handling = Begin([&] { return Post(kUser, ""); });
  service_.Send(0, 'a');
  HttpReply reply = handling.get();
  EXPECT_THAT(reply.next().data, HasSubstr(R"("content":"a")"));
  service_.Fail(0, ErrorKind::kUnavailable, "shutting down");
  const BodyPart end = reply.next();
  EXPECT_EQ(end.then, BodyPart::Then::kClose);
  EXPECT_EQ(end.data, "{\"error\":\"shutting down\"}\n");
}

}  // namespace
}  // namespace lockstep
