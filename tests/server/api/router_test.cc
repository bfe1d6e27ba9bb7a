#include "server/api/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "server/api/anthropic/message_api.h"
#include "server/api/llama_api.h"
#include "server/api/llama_embedding.h"
#include "server/api/native_api.h"
#include "server/api/ollama/ollama_chat.h"
#include "server/api/ollama/ollama_embed.h"
#include "server/api/ollama/ollama_generate.h"
#include "server/api/ollama/ollama_models.h"
#include "server/api/openai/chat.h"
#include "server/api/openai/completions.h"
#include "server/api/openai/embeddings.h"
#include "server/api/openai/responses.h"
#include "server/api/rerank_api.h"
#include "server/api/routes.h"
#include "server/api/tei_api.h"
#include "server/api/tgi_api.h"
#include "server/api/tokenize_api.h"
#include "server/json/json_text.h"
#include "tests/server/generation/fake_embeddings.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

HttpRequest Post(const std::string& body, HttpHeaders headers = {}) {
  headers.emplace_back("content-type", "application/json; charset=UTF-8");
  HttpRequest request;
  request.method = "POST";
  request.path = "/generate";
  request.headers = std::move(headers);
  request.body = body;
  return request;
}

class RouterTest : public testing::Test {
 protected:
  HttpReply Handle(const HttpRequest& request) { return router_.Handle(request); }
  HttpReply Handle(const std::string& method, const std::string& path) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    return Handle(request);
  }
  FakeService service_;
  Router router_{service_};
};

TEST_F(RouterTest, RoutesByPathAndMethod) {
  const std::tuple<const char*, const char*, int, const char*> cases[] = {
      {"GET", "/livez", 200, ""},
      {"HEAD", "/livez", 200, ""},
      {"GET", "/readyz", 200, ""},
      {"GET", "/health", 200, ""},
      {"GET", "/v1/models", 200, ""},
      {"POST", "/livez", 405, "GET, HEAD"},
      {"GET", "/generate", 405, "POST"},
      {"DELETE", "/generate", 405, "POST"},
      {"PUT", "/", 405, "GET, HEAD, POST"},
      {"GET", "/info", 200, ""},
      {"GET", "/props", 200, ""},
      {"GET", "/api/tags", 200, ""},
      {"HEAD", "/api/version", 200, ""},
      {"GET", "/v1/models/fake", 200, ""},
      {"GET", "/v1/models/other", 200, ""},  // any name is the one model's
      {"GET", "/v1/models/", 200, ""},
      {"GET", "/version", 200, ""},
      {"GET", "/v1/health", 200, ""},
      {"GET", "/v1/completions", 405, "POST"},
      {"GET", "/generate_stream", 405, "POST"},
      {"GET", "/../livez", 404, ""},
      {"POST", "/generate/", 404, ""},
      {"GET", "/models", 200, ""},
      {"GET", "/chat/completions", 405, "POST"},
      {"TRACE", "/generate", 405, "POST"},
      {"POST", "/v1/embeddings", 415, ""},
      {"GET", "/v1/rerank", 405, "POST"},
      {"OPTIONS", "*", 404, ""},
  };
  for (const auto& [method, path, status, allow] : cases) {
    SCOPED_TRACE(std::string(method) + " " + path);
    const HttpReply reply = Handle(method, path);
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(FindHeader(reply.headers, "Allow"), allow);
    EXPECT_THAT(reply.body, StartsWith(status == 200 ? "{" : R"({"error":{"message":)"));
  }
}

// Editors choose the length of their prompts by these, and whether they offer tools.
TEST_F(RouterTest, PropsAreLlamaServers) {
  const auto props = [this] { return Json::parse(Handle("GET", "/props").body, nullptr, false); };
  Json without = props();
  EXPECT_EQ(without["default_generation_settings"]["n_ctx"], 64);
  EXPECT_EQ(without["total_slots"], 4);
  EXPECT_EQ(without["chat_template"], "");
  EXPECT_EQ(without["chat_template_caps"]["supports_tools"], false);
  service_.SetChatTemplate(
      "{% if tools %}<tool_call>{% endif %}{{ messages }}"
      "{% for m in messages %}{% for c in m.tool_calls or [] %}<tool_call>\n"
      "{{ c.function | tojson }}\n</tool_call>{% endfor %}{% endfor %}");
  Json with = props();
  EXPECT_EQ(with["chat_template_caps"]["supports_tool_calls"], true);
  EXPECT_EQ(with["bos_token"], "<s>");
  EXPECT_THAT(with["chat_template"].get<std::string>(), StartsWith("{% if tools %}"));
  EXPECT_EQ(Handle("GET", "/v1/models/").body, Handle("GET", "/v1/models").body);
  const Json models = Json::parse(Handle("GET", "/v1/models").body, nullptr, false);
  EXPECT_EQ(models["data"][0]["meta"]["n_ctx"], 64);
  EXPECT_EQ(models["data"][0]["meta"]["n_vocab"], 128);
}

TEST_F(RouterTest, AnthropicsClientsHaveTheModelsInItsForm) {
  service_.served().created = 1700000000;
  HttpRequest request;
  request.method = "GET";
  request.headers = {{"anthropic-version", "2023-06-01"}};
  request.path = "/v1/models/other";
  EXPECT_EQ(Handle(request).body, R"({"type":"model","id":"other","display_name":"other",)"
                                  R"("created_at":"2023-11-14T22:13:20Z","max_input_tokens":64})");
  request.path = "/v1/models";
  const Json list = Json::parse(Handle(request).body, nullptr, false);
  EXPECT_EQ(list["data"].size(), 1u);
  EXPECT_EQ(list["data"][0]["created_at"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(list["has_more"], false);
  EXPECT_EQ(list["first_id"], list["data"][0]["id"]);
  EXPECT_EQ(list["last_id"], list["data"][0]["id"]);
}

TEST_F(RouterTest, SlotsAreSessions) {
  const Json slots = Json::parse(Handle("GET", "/slots").body, nullptr, false);
  ASSERT_EQ(slots.size(), 4u);
  EXPECT_EQ(slots[1].dump(), R"({"id":1,"n_ctx":64,"speculative":true,"is_processing":true})");
  EXPECT_EQ(slots[2]["is_processing"], false);
}

TEST_F(RouterTest, TheTokenizerIsToldInVllmsWords) {
  EXPECT_EQ(Handle("GET", "/tokenizer_info").body,
            R"({"bos_token":null,"eos_token":null,"pad_token":null,"add_bos_token":false,)"
            R"("model_max_length":64,"vocab_size":128,"chat_template":null})");
  service_.served().bos = 1;
  service_.served().eos = 0;
  service_.SetChatTemplate("{{ messages }}");
  const Json info = Json::parse(Handle("GET", "/tokenizer_info").body, nullptr, false);
  EXPECT_EQ(info["bos_token"], "<s>");
  EXPECT_EQ(info["eos_token"], "</s>");
  EXPECT_EQ(info["chat_template"], "{{ messages }}");
}

TEST_F(RouterTest, AnUnknownPathNamesTheNearestRoute) {
  const std::pair<const char*, const char*> cases[] = {
      {"/v1/chat/completion", "did you mean POST /v1/chat/completions?"},
      {"/v1/model", "did you mean GET /v1/models?"},
      {"/readiez", "did you mean GET /readyz?"},
      {"/somewhere/else/entirely", "chats go to POST /v1/chat/completions"},
  };
  for (const auto& [path, says] : cases) {
    EXPECT_THAT(Handle("GET", path).body, HasSubstr(says)) << path;
  }
  EXPECT_THAT(Handle("GET", "/api/nothing").body, StartsWith(R"({"error":"there is no )"));
}

// The server sends health checks to threads of their own by the same table.
TEST_F(RouterTest, ControlPathsAreThoseThatNeverWait) {
  for (const char* path : {"/livez", "/readyz", "/health", "/v1/health", "/ping", "/metrics"}) {
    EXPECT_TRUE(IsControlPath(path)) << path;
  }
  for (const char* path : {"/", "/generate", "/v1/models", "/v1/models/livez", "/livez/"}) {
    EXPECT_FALSE(IsControlPath(path)) << path;
  }
}

TEST_F(RouterTest, WhatOpenApiSaysIsThere) {
  const auto parsed = ParseStrictObject(Handle("GET", "/openapi.json").body);  // no name twice
  ASSERT_TRUE(parsed) << parsed.error().message;
  const Json& document = *parsed;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      // There are no metrics here, and what paths have in common is no method.
      if (path == "/metrics" || method == "parameters") continue;
      SCOPED_TRACE(method + " " + path);
      std::string upper = method;
      std::ranges::transform(upper, upper.begin(), [](char c) { return c - 'a' + 'A'; });
      const HttpReply reply = Handle(upper, path);
      // Ollama's routes read what has no type, and no response is kept.
      // This server has one model, which is neither loaded nor ended by a route.
      const int refused = path.starts_with("/api/")      ? 400
                          : path.starts_with("/models/") ? 501
                                                         : 415;
      const int found = path.find("{response_id}") != path.npos ? 404 : 200;
      EXPECT_EQ(reply.status, method == "post" ? refused : found) << reply.body;
    }
  }
}

// Tools that read the document leave out what refers to nothing.
TEST_F(RouterTest, EveryReferenceOfOpenApiIsThere) {
  const Json document = Json::parse(Handle("GET", "/openapi.json").body, nullptr, false);
  size_t references = 0;
  const auto look = [&](const Json& part, const auto& self) -> void {
    if (part.is_object() && part.contains("$ref") && part["$ref"].is_string()) {
      const auto reference = part["$ref"].get<std::string>();
      ++references;
      ASSERT_THAT(reference, StartsWith("#/"));
      EXPECT_TRUE(document.contains(Json::json_pointer(reference.substr(1)))) << reference;
    }
    for (const Json& child : part) {
      if (child.is_structured()) self(child, self);
    }
  };
  look(document, look);
  EXPECT_GT(references, 300u);
}

// The fields that readers take are those that the document has, no more and no less.
TEST_F(RouterTest, ReadersTakeTheFieldsOfOpenApi) {
  service_.SetChatTemplate("{{ messages[0].content }}");
  const Json document = Json::parse(Handle("GET", "/openapi.json").body, nullptr, false);
  const Json& schemas = document["components"]["schemas"];
  const auto written = [&schemas](const std::string& name,
                                  const auto& self) -> std::set<std::string> {
    std::set<std::string> names;
    for (const auto& [field, schema] : schemas[name]["properties"].items()) names.insert(field);
    for (const Json& part : schemas[name].value("allOf", Json::array())) {
      if (!part.contains("$ref")) continue;
      names.merge(
          self(part["$ref"].get<std::string>().substr(strlen("#/components/schemas/")), self));
    }
    return names;
  };
  const ModelNames model_names;
  // Those below `prefix`, of which the document has a schema of its own.
  const auto read = [&](const auto& reader, const char* body, const std::string& prefix) {
    std::set<std::string> all, names;
    ReadContext context{service_, model_names, false, {}};
    context.known = &all;
    const auto result = reader(ParseStrictObject(body).value(), context);
    EXPECT_TRUE(result.has_value()) << result.error().message;
    for (const std::string& name : all) {
      const std::string rest = name.substr(std::min(prefix.size(), name.size()));
      if (name.starts_with(prefix) && rest.find_first_of(".[") == rest.npos) names.insert(rest);
    }
    return names;
  };
  constexpr char kPrompt[] = R"({"prompt":"x"})", kInputs[] = R"({"inputs":"x","parameters":{}})",
                 kChat[] = R"({"messages":[{"role":"assistant","content":"x"}]})",
                 kMessages[] = R"({"max_tokens":1,"messages":[{"role":"user","content":"x"}]})",
                 kTools[] = R"({"messages":[{"role":"user","content":"x"}],"tool_choice":"none",
                     "tools":[{"type":"function","function":{"name":"f"}}]})",
                 kOllama[] = R"({"messages":[{"role":"assistant","content":"x","tool_calls":[
                     {"function":{"name":"f"}}]}],"options":{}})",
                 kOutputs[] = R"({"prompt":"x","structured_outputs":{}})";
  EXPECT_EQ(read(kNative.read, kPrompt, ""), written("NativeRequest", written));
  EXPECT_EQ(read(kTgi.read, kInputs, ""), written("TgiRequest", written));
  EXPECT_EQ(read(kTgi.read, kInputs, "parameters."), written("TgiParameters", written));
  EXPECT_EQ(read(kOpenAiCompletions.read, kPrompt, ""), written("CompletionsRequest", written));
  EXPECT_EQ(read(kLlamaCompletion.read, kPrompt, ""), written("CompletionRequest", written));
  service_.served().fill = {'P', 'S', 'M'};
  EXPECT_EQ(read(kLlamaInfill.read, R"({"input_prefix":"x","input_suffix":"y"})", ""),
            written("InfillRequest", written));
  EXPECT_EQ(read(kOpenAiCompletions.read, kOutputs, "structured_outputs."),
            written("StructuredOutputs", written));
  EXPECT_EQ(read(kOpenAiChat.read, kChat, ""), written("ChatRequest", written));
  EXPECT_EQ(read(kOpenAiChat.read, kTools, "tools[0].function."), written("Function", written));
  EXPECT_EQ(read(kAnthropicMessages.read, kMessages, ""), written("MessagesRequest", written));
  EXPECT_EQ(read(AnswerCountTokens, kMessages, ""), written("CountTokensRequest", written));
  EXPECT_EQ(read(kOpenAiResponses.read, R"({"input":"x"})", ""),
            written("ResponsesRequest", written));
  EXPECT_EQ(read(AnswerApplyTemplate, kChat, ""), written("ApplyTemplateRequest", written));
  EXPECT_EQ(read(AnswerTokenize, R"({"text":"x"})", ""), written("TokenizeRequest", written));
  EXPECT_EQ(read(AnswerDetokenize, R"({"tokens":[1]})", ""), written("DetokenizeRequest", written));
  EXPECT_EQ(read(kOllamaChat.read, kOllama, ""), written("OllamaChatRequest", written));
  EXPECT_EQ(read(kOllamaChat.read, kOllama, "options."), written("OllamaOptions", written));
  EXPECT_EQ(read(kOllamaChat.read, kOllama, "messages[0]."), written("OllamaMessage", written));
  EXPECT_EQ(read(kOllamaChat.read, kOllama, "messages[0].tool_calls[0]."),
            written("OllamaCall", written));
  EXPECT_EQ(read(kOllamaGenerate.read, kPrompt, ""), written("OllamaGenerateRequest", written));
  EXPECT_EQ(read(AnswerOllamaShow, "{}", ""), written("OllamaShowRequest", written));
  EXPECT_EQ(read(kOllamaPull.read, "{}", ""), written("OllamaPullRequest", written));
  FakeEmbeddings embeddings;
  service_.SetEmbeddings(embeddings, /*alone=*/false);
  constexpr char kPairs[] =
      R"({"inputs":{"source_sentence":"x","sentences":["y"]},"parameters":{}})";
  EXPECT_EQ(read(kOpenAiEmbeddings.read, R"({"input":"x"})", ""),
            written("EmbeddingsRequest", written));
  EXPECT_EQ(read(kTeiEmbed.read, R"({"inputs":"x"})", ""), written("TeiEmbedRequest", written));
  EXPECT_EQ(read(kTeiSimilarity.read, kPairs, ""), written("TeiSimilarityRequest", written));
  EXPECT_EQ(read(kTeiSimilarity.read, kPairs, "parameters."), written("TeiReading", written));
  EXPECT_EQ(read(kRerank.read, R"({"query":"x","documents":["y"]})", ""),
            written("RerankRequest", written));
  EXPECT_EQ(read(kTeiRerank.read, R"({"query":"x","texts":["y"]})", ""),
            written("TeiRerankRequest", written));
  EXPECT_EQ(read(kScore.read, R"({"text_1":"x","text_2":"y"})", ""),
            written("ScoreRequest", written));
  EXPECT_EQ(read(kOllamaEmbed.read, R"({"input":"x"})", ""),
            written("OllamaEmbedRequest", written));
  EXPECT_EQ(read(kLlamaEmbedding.read, R"({"input":"x"})", ""),
            written("LlamaEmbeddingRequest", written));
  EXPECT_EQ(read(kOllamaEmbeddings.read, kPrompt, ""), written("OllamaEmbeddingRequest", written));
  // An assistant's message has every field but the id of the call that a tool answers.
  std::set<std::string> message = read(kOpenAiChat.read, kChat, "messages[0].");
  message.insert("tool_call_id");
  EXPECT_EQ(message, written("Message", written));
}

TEST_F(RouterTest, InsistsOnJson) {
  const std::tuple<const char*, int, const char*> cases[] = {
      {"", 415, "no Content-Type"},
      {"text/plain", 415, "text/plain"},
      {"application/x-www-form-urlencoded", 415, "Content-Type: application/json"},
      {"application/json; charset=latin1", 415, "utf-8"},
      {"APPLICATION/JSON", 400, "prompt"},
      {"application/json;charset=\"UTF-8\"", 400, "prompt"},
  };
  for (const auto& [type, status, says] : cases) {
    SCOPED_TRACE(type);
    HttpRequest request = Post("{}");
    request.headers = {{"Content-Type", type}};
    const HttpReply reply = Handle(request);
    EXPECT_EQ(reply.status, status);
    EXPECT_THAT(reply.body, HasSubstr(says));
  }
}

TEST_F(RouterTest, HealthTellsOfDrainingAndOfAStall) {
  EXPECT_EQ(Handle("GET", "/readyz").body, R"({"status":"ok","queued":1,"running":2})");
  for (std::atomic<bool>* state : {&service_.draining, &service_.stalled}) {
    *state = true;
    const HttpReply reply = Handle("GET", "/readyz");
    EXPECT_EQ(reply.status, 503);
    EXPECT_NE(FindHeader(reply.headers, "Retry-After"), "");
    EXPECT_THAT(reply.body, HasSubstr(state == &service_.draining ? "draining" : "stalled"));
    EXPECT_EQ(Handle("GET", "/livez").status, 200);
    *state = false;
  }
  EXPECT_EQ(Handle("GET", "/readyz").status, 200);
}

TEST_F(RouterTest, UntilTheModelIsLoadedOnlyLivenessIsWell) {
  Router router;
  const auto get = [&router](const char* path) {
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    return router.Handle(request);
  };
  router.SetLoaded(42);
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(get("/generate").status, 405);
  EXPECT_EQ(get("/nothing").status, 404);
  for (const char* path : {"/readyz", "/health"}) {
    const HttpReply reply = get(path);
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.body, R"({"status":"loading","percent":42})");
    EXPECT_EQ(FindHeader(reply.headers, "Retry-After"), "5");
  }
  for (const HttpReply& reply : {get("/v1/models"), router.Handle(Post("{}"))}) {
    EXPECT_EQ(reply.status, 503);
    EXPECT_THAT(reply.body, StartsWith(R"({"error":{"message":"the model is loading, 42%")"));
    EXPECT_EQ(FindHeader(reply.headers, "Retry-After"), "5");
  }

  router.Open(service_);
  EXPECT_EQ(get("/readyz").status, 200);
  EXPECT_EQ(get("/v1/models").status, 200);
  EXPECT_EQ(router.Handle(Post("{}")).status, 400);
}

}  // namespace
}  // namespace lockstep
