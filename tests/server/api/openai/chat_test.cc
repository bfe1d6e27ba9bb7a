// Conversations before a fake service: what messages may be, and what the template is given.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kChat[] = "/v1/chat/completions";
// With an answer at its end, which goes on without.
constexpr char kWhole[] = R"(,"continue_final_message":false)";
// Writes down all that it is given.
constexpr char kTemplate[] =
    "{{ bos_token }}{% for m in messages %}[{{ m | tojson }}]{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% if add_generation_prompt %}>{{ reasoning_effort }}{{ mood }}{% endif %}";

class OpenAiChatTest : public ApiFixture {
 protected:
  OpenAiChatTest() : ApiFixture("tale", kTemplate) {}

  // With --strict.
  HttpReply PostStrictly(const std::string& path, const std::string& body) {
    ApiSettings settings;
    settings.generate.strict = true;
    return PostJson(Router(service_, settings), path, body);
  }
  // The prompt of messages and further fields.
  std::string Prompt(const std::string& messages, const std::string& fields = "") {
    const HttpReply reply = Post("/apply-template", "{\"messages\":" + messages + fields + "}");
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Json::parse(reply.body, nullptr, false)["prompt"].get<std::string>();
  }
};

TEST_F(OpenAiChatTest, RefusesBadMessagesByTheirPlace) {
  std::string many = "[";
  for (int i = 0; i < 4097; ++i) many += R"({"role":"user","content":"x"},)";
  many.back() = ']';
  const std::pair<std::string, const char*> cases[] = {
      {"null", "messages"},
      {"[]", "messages"},
      {"{}", "messages"},
      {"\"hello\"", "messages"},
      {"[123]", "messages[0]"},
      {"[null]", "messages[0]"},
      {"[{}]", "messages[0].role"},
      {R"([{"role":123,"content":"x"}])", "messages[0].role"},
      {R"([{"role":"wizard","content":"x"}])", "messages[0].role"},
      {R"([{"role":"user"}])", "messages[0].content"},
      {R"([{"role":"user","content":null}])", "messages[0].content"},
      {R"([{"role":"user","content":123}])", "messages[0].content"},
      {R"([{"role":"user","content":{}}])", "messages[0].content"},
      {R"([{"role":"user","content":[1]}])", "messages[0].content[0]"},
      {R"([{"role":"user","content":[{}]}])", "messages[0].content[0].type"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])",
       "messages[0].content[0].type"},
      {R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text"},
      {R"([{"role":"user","content":[{"type":"text","text":1}]}])", "messages[0].content[0].text"},
      {R"([{"role":"user","content":[{"type":"text","text":"x","cache_control":{}}]}])",
       "messages[0].content[0].cache_control"},
      {R"([{"role":"user","content":"x","name":1}])", "messages[0].name"},
      {R"([{"role":"user","content":"x","weight":1}])", "messages[0].weight"},
      {R"([{"role":"user","content":"x","tool_calls":[]}])", "messages[0].tool_calls"},
      {R"([{"role":"user","content":"x"},{"role":"tool","content":"y"}])",
       "messages[1].tool_call_id"},
      {R"([{"role":"assistant","tool_calls":{}}])", "messages[0].tool_calls"},
      {R"([{"role":"assistant","tool_calls":[1]}])", "messages[0].tool_calls[0]"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]}])",
       "messages[0].tool_calls[0].function.name"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[]}}]}])",
       "messages[0].tool_calls[0].function.arguments"},
      {R"([{"role":"assistant","content":"x","function_call":{}}])",
       "messages[0].function_call.name"},
      {many, "messages"},
  };
  for (const auto& [messages, param] : cases) {
    for (const char* path : {kChat, "/apply-template"}) {
      SCOPED_TRACE(path + (" " + messages.substr(0, 100)));
      const HttpReply reply = PostStrictly(path, "{\"messages\":" + messages + "}");
      EXPECT_EQ(reply.status, 400);
      EXPECT_THAT(reply.body, HasSubstr(std::string("\"param\":\"") + param + "\""));
    }
  }
  EXPECT_EQ(service_.submitted(), 0u);
}

// Clients decorate messages with fields of their own, and of other servers.
TEST_F(OpenAiChatTest, IgnoresUnknownFieldsOfMessagesAndTells) {
  const HttpReply reply =
      Post("/apply-template",
           R"({"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{}}],
          "weight":1,"tool_calls":[]}]})");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"),
            "messages[0].content[0].cache_control, messages[0].weight, messages[0].tool_calls");
  const HttpReply picture =
      Post(kChat, R"({"messages":[{"role":"user","content":"what is this?","images":["AAAA"]}]})");
  EXPECT_EQ(picture.status, 400);
  EXPECT_THAT(picture.body, HasSubstr(R"("param":"messages[0].images")"));
}

TEST_F(OpenAiChatTest, RefusesWhatItCannotDoByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("tools":[1])", "tools[0]"},
      {R"("tools":{})", "tools"},
      {R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name"},
      {R"("tools":[{"type":"function","function":{"name":"f","parameters":1}}])",
       "tools[0].function.parameters"},
      {R"("tool_choice":"required")", "tool_choice"},
      {R"("response_format":{"type":"xml"})", "response_format.type"},
      {R"("response_format":{})", "response_format.type"},
      {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})",
       "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
          "schema":{"properties":{"a":{"type":"string","pattern":"(a)\\1"}}}}})",
       "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_object"},"grammar":"root ::= \"a\"")",
       "response_format.type"},
      {R"("grammar":"root ::= (")", "grammar"},
      {R"("grammar":1)", "grammar"},
      {R"("response_format":"json")", "response_format"},
      {R"("chat_template":"{{ 1 }}")", "chat_template"},
      {R"("chat_template_kwargs":[])", "chat_template_kwargs"},
      {R"("top_logprobs":2)", "top_logprobs"},
      {R"("logprobs":2)", "logprobs"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
      {R"("max_tokens":5,"max_completion_tokens":6)", "max_tokens"},
      {R"("max_completion_tokens":0)", "max_completion_tokens"},
      {R"("modalities":["audio"])", "modalities"},
      {R"("audio":{})", "audio"},
      {R"("best_of":2,"n":3)", "best_of"},
      {R"("prompt":"x")", "prompt"},
  };
  for (const auto& [fields, param] : cases) {
    SCOPED_TRACE(fields);
    const HttpReply reply = PostStrictly(
        kChat, std::string(R"({"messages":[{"role":"user","content":"x"}],)") + fields + "}");
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(std::string("\"param\":\"") + param + "\""));
  }
}

// In whichever form a client has kept it.
TEST_F(OpenAiChatTest, ThoughtsAreTakenBack) {
  for (const char* thought :
       {R"("reasoning_content":"t")", R"("reasoning":"t")", R"("reasoning_text":"t")",
        R"("reasoning":"t","reasoning_content":"t")", R"("reasoning_content":"","reasoning":"t")",
        R"("reasoning_details":[{"type":"reasoning.text","text":"t","signature":null}])",
        R"("reasoning_details":[{"type":"reasoning.summary","summary":"t"}])",
        R"("thinking_blocks":[{"type":"thinking","thinking":"t","signature":"s"}])"}) {
    EXPECT_EQ(
        Prompt(std::string(R"([{"role":"assistant","content":"a",)") + thought + "}]", kWhole),
        R"(<s>[{"role": "assistant", "content": "a", "reasoning_content": "t"}]>)")
        << thought;
  }
  EXPECT_EQ(Prompt(R"([{"role":"assistant","content":[{"type":"thinking","thinking":"t"},
                      {"type":"redacted_thinking","data":"x"},{"type":"text","text":"a"}]}])",
                   kWhole),
            R"(<s>[{"role": "assistant", "content": "a", "reasoning_content": "t"}]>)");
}

// In the parts of /v1/responses, without a type, or as texts alone.
TEST_F(OpenAiChatTest, TextsAreTextsInWhicheverPart) {
  EXPECT_EQ(Prompt(R"([{"role":"user","content":["a",{"text":"b"},{"type":null,"text":"c"},
                      {"type":"input_text","text":"d"},
                      {"type":"output_text","text":"e","annotations":[],"logprobs":[]}]}])",
                   kWhole),
            R"(<s>[{"role": "user", "content": "a\nb\nc\nd\ne"}]>)");
}

TEST_F(OpenAiChatTest, AToolMayReturnNothing) {
  for (const char* content : {R"("content":null,)", "", R"("content":[],)"}) {
    EXPECT_EQ(
        Prompt(std::string(R"([{"role":"tool",)") + content + R"("tool_call_id":"1"}])", kWhole),
        R"(<s>[{"role": "tool", "content": "", "tool_call_id": "1"}]>)");
  }
}

// What servers give out, and what clients make of it, is taken back.
TEST_F(OpenAiChatTest, AnswersComeBackAsTheyWere) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"role":"assistant","content":"a","reasoning":"r","provider_specific_fields":{"x":1},
           "annotations":[],"refusal":null,"audio":null,"unheard_of":null})",
       R"([{"role": "assistant", "content": "a", "reasoning_content": "r"}])"},
      {R"({"role":"assistant","content":[{"type":"text","text":"a","unheard_of":null},
           {"type":"refusal","refusal":"b"}]})",
       R"([{"role": "assistant", "content": "a\nb"}])"},
      {R"({"role":"assistant","content":null,"tool_calls":[]})",
       R"([{"role": "assistant", "content": null}])"},
      {R"({"role":"assistant","content":"","tool_calls":[{"index":0,"id":"1","type":"function",
           "provider_specific_fields":null,"function":{"name":"a.b","arguments":""}}]})",
       R"([{"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function", )"
       R"("function": {"name": "a.b", "arguments": {}}}]}])"},
      {R"({"role":"assistant","tool_calls":[{"id":"1","type":"function",
           "function":{"name":"f","arguments":{"b":[1],"a":null}}}]})",
       R"([{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", )"
       R"("function": {"name": "f", "arguments": {"b": [1], "a": null}}}]}])"},
      {R"({"role":"assistant","tool_calls":[{"id":"1","type":"custom",
           "custom":{"name":"f","input":"i"}}]})",
       R"([{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", )"
       R"("function": {"name": "f", "arguments": {"input": "i"}}}]}])"},
      {R"({"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
          {"role":"function","name":"f","content":"r"})",
       R"([{"role": "assistant", "content": null, "tool_calls": [{"id": "call00000", )"
       R"("type": "function", "function": {"name": "f", "arguments": {}}}]}])"
       R"([{"role": "tool", "content": "r", "name": "f", "tool_call_id": "call00000"}])"},
  };
  for (const auto& [messages, prompt] : cases) {
    EXPECT_EQ(Prompt("[" + messages + "]", kWhole), "<s>" + prompt + ">") << messages;
  }
}

TEST_F(OpenAiChatTest, AnEmptyTextWhereATemplateFailsOnNull) {
  service_.SetChatTemplate("{% for m in messages %}{{ 'x' in m.content }}{% endfor %}");
  EXPECT_EQ(Prompt(R"([{"role":"assistant","content":null,"tool_calls":[]}])", kWhole), "False");
}

TEST_F(OpenAiChatTest, IntegersKeepTheirDigits) {
  EXPECT_THAT(Prompt(R"([{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f",
                      "arguments":"{\"a\":12297829382473034411,\"b\":18446744073709551616}"}}]}])",
                     R"(,"chat_template_kwargs":{"mood":-9223372036854775809})"),
              testing::AllOf(HasSubstr(R"({"a": 12297829382473034411, "b": 18446744073709551616})"),
                             HasSubstr("-9223372036854775809")));
}

TEST_F(OpenAiChatTest, APromptsTokensAreToldWithTheirLogprobs) {
  const std::string body = R"({"messages":[{"role":"user","content":"x"}],)";
  const Json plain = Answer(Post(kChat, body + R"("seed":1})"));
  EXPECT_FALSE(plain.contains("prompt_logprobs") || plain.contains("prompt_token_ids"));
  const Json told = Answer(Post(kChat, body + R"("prompt_logprobs":0,"return_token_ids":true})"));
  const size_t tokens = told["usage"]["prompt_tokens"];
  ASSERT_EQ(told["prompt_token_ids"].size(), tokens);
  ASSERT_EQ(told["prompt_logprobs"].size(), tokens);
  EXPECT_TRUE(told["prompt_logprobs"][0].is_null());
  const std::string second = told["prompt_token_ids"][1].dump();
  EXPECT_EQ(told["prompt_logprobs"][1][second]["logprob"], -0.25);
  EXPECT_EQ(told["choices"][0]["token_ids"].size(), 4u);
  EXPECT_EQ(Post(kChat, body + R"("prompt_logprobs":0,"stream":true})").status, 400);
  EXPECT_EQ(Ignored(Post(kChat, body + R"("return_token_ids":true,"stream":true})")),
            "return_token_ids");
}

TEST_F(OpenAiChatTest, LimitsOfTokens) {
  const auto limit = [this](const char* field) {
    EXPECT_EQ(
        Post(kChat, std::string(R"({"messages":[{"role":"user","content":"x"}],)") + field + "}")
            .status,
        200)
        << field;
    return service_.request(service_.submitted() - 1).options.max_tokens;
  };
  EXPECT_EQ(limit(R"("max_tokens":-1)"), size_t{INT32_MAX});
  EXPECT_EQ(limit(R"("max_completion_tokens":3,"max_tokens":3)"), 3u);
  EXPECT_EQ(limit(R"("logprobs":false,"top_logprobs":0,"best_of":1)"), size_t{INT32_MAX});
}

// A file may have a template of its own for tools, and others that requests name.
TEST_F(OpenAiChatTest, NamedTemplatesAreTakenForToolsAndByName) {
  service_.AddNamedTemplate("tool_use", "for tools");
  service_.AddNamedTemplate("rag", "documents");
  constexpr char kUser[] = R"([{"role":"user","content":"x"}])";
  constexpr char kTools[] =
      R"(,"tool_choice":"none","tools":[{"type":"function","function":{"name":"f"}}])";
  EXPECT_THAT(Prompt(kUser), StartsWith("<s>["));
  EXPECT_EQ(Prompt(kUser, kTools), "for tools");
  EXPECT_THAT(Prompt(kUser, std::string(kTools) + R"(,"chat_template":"default")"),
              StartsWith("<s>["));
  EXPECT_EQ(Prompt(kUser, R"(,"chat_template":"rag")"), "documents");
  const HttpReply reply =
      Post("/apply-template", std::string(R"({"messages":)") + kUser + R"(,"chat_template":"no"})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("default, tool_use, rag"));
}

TEST_F(OpenAiChatTest, AModelWithoutATemplateSaysSo) {
  FakeService plain;
  const Router router(plain);
  constexpr char kUser[] = R"({"messages":[{"role":"user","content":"x"}]})";
  for (const char* path : {kChat, "/apply-template"}) {
    const HttpReply reply = PostJson(router, path, kUser);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr("no template"));
  }
}

TEST_F(OpenAiChatTest, TheTemplateIsGivenWhatMessagesSay) {
  EXPECT_EQ(Prompt(R"([{"role":"system","content":"s"},{"role":"user","content":"u","name":"n"}])"),
            R"(<s>[{"role": "system", "content": "s"}])"
            R"([{"role": "user", "content": "u", "name": "n"}]>)");
  EXPECT_EQ(Prompt(R"([{"role":"developer","content":[{"type":"text","text":"a"},
                       {"type":"text","text":"b"}]}])",
                   R"(,"add_generation_prompt":false)"),
            R"(<s>[{"role": "system", "content": "a\nb"}])");
  EXPECT_EQ(Prompt(R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1",
                       "type":"function","function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}}],
                       "refusal":null,"annotations":[]},
                       {"role":"tool","tool_call_id":"1","content":"r"}])"),
            R"(<s>[{"role": "assistant", "content": null, "tool_calls": [{"id": "1", )"
            R"("type": "function", "function": {"name": "f", "arguments": {"b": 1, "a": 2}}}]}])"
            R"([{"role": "tool", "content": "r", "tool_call_id": "1"}]>)");
  EXPECT_EQ(Prompt(R"([{"role":"user","content":"x","name":null,"tool_calls":null,"refusal":null,
                       "tool_call_id":null,"audio":null,"function_call":null}])"),
            R"(<s>[{"role": "user", "content": "x"}]>)");
  EXPECT_EQ(
      Prompt(R"([{"role":"user","content":""}])",
             R"(,"reasoning_effort":"low","chat_template_kwargs":{"mood":"!","bos_token":null})"),
      R"(<s>[{"role": "user", "content": ""}]>low!)");
  service_.SetChatTemplate(std::string(kTemplate) +
                           "{% if tools %}<tool_call>\n{\"name\": ...}{% endif %}");
  EXPECT_THAT(Prompt(R"([{"role":"user","content":"x"}])",
                     R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}])"),
              HasSubstr(R"([{"type": "function", "function": {"name": "f", "parameters": {}}}])"));
}

// Whatever way a variable comes, it has passed the checks of the field of its name.
TEST_F(OpenAiChatTest, TemplateKwargsAreCheckedLikeTheFieldsOfTheirNames) {
  constexpr char kUser[] = R"([{"role":"user","content":"x"}])";
  const std::pair<std::string, std::string> refused[] = {
      {R"("tools":[{}])", "chat_template_kwargs.tools[0].name"},
      {R"("tools":[{"function":{}}])", "chat_template_kwargs.tools[0].function.name"},
      {R"("tools":[{"type":"function","function":{"name":1}}])",
       "chat_template_kwargs.tools[0].function.name"},
      {R"("tools":[1])", "chat_template_kwargs.tools[0]"},
      {R"("tools":5)", "chat_template_kwargs.tools"},
      {R"("tools":"x")", "chat_template_kwargs.tools"},
      {R"("tools":{"a":1})", "chat_template_kwargs.tools"},
      {R"("add_generation_prompt":1)", "chat_template_kwargs.add_generation_prompt"},
      {R"("messages":[])", "chat_template_kwargs.messages"},
      {R"("bos_token":"<s>")", "chat_template_kwargs.bos_token"},
      {R"("eos_token":"</s>")", "chat_template_kwargs.eos_token"},
  };
  for (const auto& [kwargs, param] : refused) {
    for (const char* path : {kChat, "/apply-template"}) {
      SCOPED_TRACE(kwargs);
      const HttpReply reply = Post(path, std::string(R"({"messages":)") + kUser +
                                             R"(,"chat_template_kwargs":{)" + kwargs + "}}");
      EXPECT_EQ(reply.status, 400);
      EXPECT_THAT(reply.body, HasSubstr("\"param\":\"" + param + "\"")) << reply.body;
    }
  }
  const std::string user = R"(<s>[{"role": "user", "content": "x"}])";
  for (const char* nothing : {R"("tools":null)", R"("tools":[])", R"("messages":null)"}) {
    EXPECT_EQ(Prompt(kUser, std::string(R"(,"chat_template_kwargs":{)") + nothing + "}"),
              user + ">");
  }
  EXPECT_EQ(Prompt(kUser, R"(,"chat_template_kwargs":{"add_generation_prompt":false})"), user);
  const std::string tool = R"({"type":"function","function":{"name":"f","parameters":{}}})";
  EXPECT_EQ(Prompt(kUser, R"(,"chat_template_kwargs":{"tools":[)" + tool + "]}"),
            Prompt(kUser, R"(,"tools":[)" + tool + "]"));
  EXPECT_EQ(Post(kChat, std::string(R"({"messages":)") + kUser + R"(,"tools":[)" + tool +
                            R"(],"chat_template_kwargs":{"tools":[)" + tool + "]}}")
                .status,
            400);
}

TEST_F(OpenAiChatTest, OnlyTheTemplatesTextBecomesControlTokens) {
  service_.SetChatTemplate("{{ bos_token }}{{ messages[0].content }}<s>");
  EXPECT_EQ(Post(kChat, R"({"messages":[{"role":"user","content":"<s>x"}],"n":2})").status, 200);
  EXPECT_EQ(service_.request(0).prompt, (std::vector<int32_t>{1, '<', 's', '>', 'x', 1}));
  EXPECT_EQ(service_.request(1).prompt, service_.request(0).prompt);
}

TEST_F(OpenAiChatTest, ATemplatesRefusalIsTheClients) {
  service_.SetChatTemplate("{{ raise_exception('roles must alternate') }}");
  const HttpReply reply = Post(kChat, R"({"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("roles must alternate"));
  EXPECT_THAT(reply.body, HasSubstr(R"("param":"messages")"));
}

TEST_F(OpenAiChatTest, AnswersWholeAndStreamed) {
  const std::string body = R"({"messages":[{"role":"user","content":"x"}],"seed":7)";
  Json answer =
      Json::parse(Post(kChat, body + R"(,"logprobs":true,"top_logprobs":1})").body, nullptr, false);
  EXPECT_THAT(answer["id"].get<std::string>(), StartsWith("chatcmpl-"));
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["choices"][0]["message"].dump(),
            R"({"role":"assistant","content":"tale","refusal":null})");
  EXPECT_EQ(answer["choices"][0]["logprobs"]["content"][0].dump(),
            R"({"token":"t","logprob":-0.1,"bytes":[116],"top_logprobs":[)"
            R"({"token":"t","logprob":-0.1,"bytes":[116]},)"
            R"({"token":"z","logprob":-2.5,"bytes":[122]}]})");
  EXPECT_EQ(service_.request(0).options.max_tokens, size_t{INT32_MAX});

  const HttpReply reply = Post(kChat, body + R"(,"stream":true})");
  EXPECT_THAT(reply.next().data,
              testing::AllOf(HasSubstr(R"("object":"chat.completion.chunk")"),
                             HasSubstr(R"("delta":{"role":"assistant","content":""})"),
                             HasSubstr(R"("delta":{"content":"t"},"logprobs":null)")));
  for (const char* text : {"a", "l", "e"}) {
    EXPECT_THAT(reply.next().data, HasSubstr(std::string(R"("delta":{"content":")") + text));
  }
  EXPECT_THAT(reply.next().data,
              HasSubstr(R"("delta":{},"logprobs":null,"finish_reason":"length")"));
  EXPECT_EQ(reply.next().data, "data: [DONE]\n\n");
}

}  // namespace
}  // namespace lockstep
