// What Ollama's clients ask for before they chat, in their order, and the forms of errors.
#include "server/api/ollama/ollama_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

HttpRequest Request(const std::string& method, const std::string& path,
                    const std::string& body = "", HttpHeaders headers = {}) {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.body = body;
  request.headers = std::move(headers);
  return request;
}

class OllamaModelsTest : public testing::Test {
 protected:
  OllamaModelsTest() {
    settings_.generate.names.aliases = {"llama3.2:1b", "*"};
    settings_.generate.names.strict = true;
  }
  HttpReply Send(const std::string& method, const std::string& path, const std::string& body = "",
                 HttpHeaders headers = {}) {
    return Router(service_, settings_).Handle(Request(method, path, body, std::move(headers)));
  }
  Json Answer(const std::string& method, const std::string& path, const std::string& body = "") {
    const HttpReply reply = Send(method, path, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Json::parse(reply.body, nullptr, false);
  }

  FakeService service_;
  ApiSettings settings_;
};

TEST_F(OllamaModelsTest, ListsTheModelUnderEachName) {
  service_.card().architecture = "llama";
  service_.card().parameters = 1'100'048'384;
  service_.card().quantization = "Q4_0";
  service_.card().sha256 = std::string(64, 'a');
  service_.card().bytes = 637'000'000;
  service_.card().modified = 1'700'000'000;
  const Json tags = Answer("GET", "/api/tags");
  ASSERT_EQ(tags["models"].size(), 2u);
  const Json& model = tags["models"][0];
  EXPECT_EQ(model["name"], "fake:latest");
  EXPECT_EQ(model["model"], "fake:latest");
  EXPECT_EQ(model["modified_at"], "2023-11-14T22:13:20.000000000Z");
  EXPECT_EQ(model["size"], 637'000'000);
  EXPECT_EQ(model["digest"], std::string(64, 'a'));
  EXPECT_EQ(model["details"], Json::parse(R"({"parent_model":"","format":"gguf","family":"llama",
                            "families":["llama"],"parameter_size":"1.1B",
                            "quantization_level":"Q4_0"})"));
  EXPECT_EQ(tags["models"][1]["name"], "llama3.2:1b");

  const Json running = Answer("GET", "/api/ps");
  EXPECT_EQ(running["models"][0]["model"], "fake:latest");
  EXPECT_THAT(running["models"][0]["expires_at"].get<std::string>(), testing::StartsWith("22"));
  EXPECT_EQ(running["models"][0]["context_length"], 64);
  EXPECT_EQ(running["models"][0]["size_vram"], 0);
}

TEST_F(OllamaModelsTest, ShowsTheHeader) {
  ModelCard& card = service_.card();
  card.architecture = "llama";
  card.parameters = 7;
  card.context = 4096;  // of which the server has room for 64
  card.dim = 16;
  card.metadata = {{"general.name", std::string("Fake")},
                   {"general.license", std::string("mit")},
                   {"llama.context_length", uint64_t{4096}},
                   {"llama.rope.freq_base", 10000.5},
                   {"general.tags", std::vector<std::string>{"a", "b"}}};
  service_.SetChatTemplate("{{ messages }}");
  for (const char* body : {R"({"model":"fake"})", R"({"name":"fake:latest","verbose":true})",
                           R"({"model":"llama3.2:1b","name":null})"}) {
    const Json show = Answer("POST", "/api/show", body);
    EXPECT_EQ(show["license"], "mit");
    EXPECT_EQ(show["template"], "{{ messages }}");
    EXPECT_THAT(show["parameters"].get<std::string>(), testing::MatchesRegex("num_ctx +64"));
    EXPECT_THAT(show["modelfile"].get<std::string>(), HasSubstr("FROM fake\n"));
    EXPECT_EQ(show["details"]["family"], "llama");
    EXPECT_EQ(show["model_info"], Json::parse(R"({"general.license":"mit","llama.context_length":64,
                              "llama.rope.freq_base":10000.5,"general.tags":["a","b"],
                              "general.architecture":"llama","general.parameter_count":7,
                              "llama.embedding_length":16})"));
    EXPECT_EQ(show["capabilities"].dump(), R"(["completion","tools"])");
  }
  service_.served().fill = {'P', 'S', 'M'};
  EXPECT_EQ(Answer("POST", "/api/show", R"({"model":"fake"})")["capabilities"].dump(),
            R"(["completion","insert","tools"])");
}

TEST_F(OllamaModelsTest, PullSaysWhetherTheModelIsHere) {
  EXPECT_EQ(Send("POST", "/api/pull", R"({"model":"fake","stream":false})").body,
            R"({"status":"success"})");
  const HttpReply lines = Send("POST", "/api/pull", R"({"name":"fake:latest","insecure":true})");
  EXPECT_EQ(lines.content_type, "application/x-ndjson");
  EXPECT_EQ(lines.body,
            "{\"status\":\"fake is what this server has\"}\n{\"status\":\"success\"}\n");
  settings_.generate.names.aliases.clear();
  const HttpReply other = Send("POST", "/api/pull", R"({"model":"gpt-oss:20b"})");
  EXPECT_EQ(other.status, 404);
  EXPECT_THAT(other.body, testing::StartsWith(R"({"error":"this server fetches no models)"));
}

TEST_F(OllamaModelsTest, WhatItDoesNotDoItSays) {
  const std::pair<const char*, const char*> cases[] = {
      {"POST", "/api/create"},
      {"POST", "/api/copy"},
      {"POST", "/api/push"},
      {"DELETE", "/api/delete"},
      {"POST", "/api/blobs/sha256:00"},
  };
  for (const auto& [method, path] : cases) {
    const HttpReply reply = Send(method, path, "{}");
    EXPECT_EQ(reply.status, 501) << path;
    EXPECT_THAT(reply.body, testing::StartsWith(R"({"error":")")) << path;
  }
  EXPECT_EQ(FindHeader(Send("GET", "/api/delete").headers, "Allow"), "DELETE");
}

TEST_F(OllamaModelsTest, ErrorsAreTexts) {
  const std::string longer = R"({"model":")" + std::string(257, 'm') + "\"}";
  const std::tuple<const char*, const char*, const char*, int> cases[] = {
      {"GET", "/api/nothing", "", 404},
      {"GET", "/api/chat", "", 405},
      {"POST", "/api/chat", "", 400},
      {"POST", "/api/chat", "{", 400},
      {"POST", "/api/show", R"({"model":7})", 400},
      {"POST", "/api/show", longer.c_str(), 400},
      {"POST", "/api/pull", longer.c_str(), 400},
      {"POST", "/api/generate", R"({"prompt":"x","images":["aGk="]})", 400},
  };
  for (const auto& [method, path, body, status] : cases) {
    const HttpReply reply = Send(method, path, body);
    EXPECT_EQ(reply.status, status) << path;
    EXPECT_TRUE(Json::parse(reply.body, nullptr, false)["error"].is_string()) << reply.body;
  }
  const Router router(service_);
  EXPECT_EQ(router.Refuse(Request("POST", "/api/chat"), 413, "too large").body,
            R"({"error":"too large"})");
  ApiSettings keys;
  keys.keys = *ApiKeys::Load({"secret"}, "");
  const Router closed(service_, keys);
  EXPECT_EQ(closed.Handle(Request("GET", "/api/tags")).status, 401);
  EXPECT_EQ(
      closed.Handle(Request("GET", "/api/tags", "", {{"Authorization", "Bearer secret"}})).status,
      200);
}

// curl -d calls a body a form, and so does a page's form that is aimed at this machine.
TEST_F(OllamaModelsTest, TheBodyNeedsNoTypeUnlessABrowserSendsIt) {
  constexpr char kForm[] = "application/x-www-form-urlencoded";
  EXPECT_EQ(Send("POST", "/api/show", "{}").status, 200);
  EXPECT_EQ(Send("POST", "/api/show", "{}", {{"Content-Type", kForm}}).status, 200);
  EXPECT_EQ(
      Send("POST", "/api/show", "{}", {{"Content-Type", kForm}, {"Origin", "http://x.example"}})
          .status,
      415);
  EXPECT_EQ(Send("POST", "/api/show", "{}",
                 {{"Content-Type", "application/json"}, {"Origin", "http://x.example"}})
                .status,
            200);
}

TEST_F(OllamaModelsTest, AProbeOfTheRootIsAnsweredInOllamasWords) {
  for (const char* method : {"GET", "HEAD"}) {
    for (const char* accept : {"", "*/*", "application/json"}) {
      const HttpReply reply = Send(method, "/", "", {{"Accept", accept}});
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(reply.body, "Ollama is running");
      EXPECT_EQ(reply.content_type, "text/plain; charset=utf-8");
      EXPECT_EQ(FindHeader(reply.headers, "Vary"), "Accept");
    }
  }
  EXPECT_NE(Send("GET", "/", "", {{"Accept", "text/html,application/xml;q=0.9,*/*;q=0.8"}}).body,
            "Ollama is running");
  EXPECT_THAT(Answer("GET", "/api/version")["version"].get<std::string>(),
              testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

}  // namespace
}  // namespace lockstep
