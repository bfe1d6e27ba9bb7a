// A tiny random model behind the real server, over real sockets.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/engine/scheduler.h"
#include "core/engine/session_pool.h"
#include "core/kernels/dispatch.h"
#include "core/model/model.h"
#include "server/api/router.h"
#include "server/api/routes.h"
#include "server/generation/generation_service.h"
#include "server/http/http_server.h"
#include "tests/server/generation/fake_service.h"
#include "tests/server/http/raw_client.h"
#include "tests/support/tiny_model.h"

namespace lockstep {

class EndToEndFixture : public testing::Test {
 protected:
  using json = nlohmann::json;
  static constexpr size_t kSessions = 4, kQueue = 16, kContext = 128;

  // With a prefix store of so many bytes, if any.
  explicit EndToEndFixture(const TinyModelOptions& options = {}, size_t prefix_bytes = 0)
      : options_(options), prefix_bytes_(prefix_bytes) {}

  void SetUp() override {
    auto model = LoadModel(TinyModel(options_), "tiny", *ChooseKernels("auto").kernels, pool_);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    model_ = std::move(*model);
    auto sessions = SessionPool::Create(model_->config(), model_->tokenizer,
                                        {.sessions = kSessions, .context = kContext});
    ASSERT_TRUE(sessions.has_value()) << sessions.error().message;
    sessions_ = std::move(*sessions);
    SchedulerOptions scheduling;
    scheduling.max_queued = kQueue;
    scheduling.prefill_tokens = 16;
    if (prefix_bytes_ > 0) {
      prefixes_ = PrefixStore::Create(model_->config(), prefix_bytes_).value();
      scheduling.prefixes = prefixes_.get();
    }
    scheduler_ = std::make_unique<Scheduler>(model_->transformer, *sessions_, pool_, scheduling);
    service_ =
        std::make_unique<SchedulerService>(*model_, *scheduler_, kContext, model_->fingerprint);
    router_ = std::make_unique<Router>(*service_);
    HttpServerOptions options;
    options.port = 0;
    options.threads = kSessions + kQueue + 8;
    options.is_control = IsControlPath;
    options.is_scrape = IsScrapePath;
    auto server = HttpServer::Start(
        options, [this](const HttpRequest& request) { return router_->Handle(request); });
    ASSERT_TRUE(server.has_value()) << server.error().message;
    server_ = std::move(*server);
  }

  // A new server that remembers nothing.
  void Restart() {
    server_.reset();
    router_.reset();
    service_.reset();
    scheduler_.reset();
    sessions_.reset();
    SetUp();
  }

  std::string Post(const json& body) {
    RawClient client(server_->port());
    client.Generate(body.dump(), "Connection: close\r\n");
    return client.ReadToEnd();
  }
  // The answer's object, or the last event of a stream.
  json Answer(const json& body) {
    std::string reply = Post(body);
    EXPECT_THAT(reply, testing::StartsWith("HTTP/1.1 200 "));
    const size_t start = reply.rfind("{\"id\"");
    if (start == reply.npos) return {};
    return json::parse(reply.substr(start, reply.find('\n', start) - start), nullptr, false);
  }
  // What is promised to be the same for the same request.
  static json Promised(const json& answer) {
    return {answer["text"], answer["tokens"], answer["finish_reason"], answer["usage"],
            answer["seed"]};
  }
  bool AllFree() {
    return Eventually([&] { return sessions_->available() == kSessions; });
  }

  const TinyModelOptions options_;
  const size_t prefix_bytes_;
  ThreadPool pool_{2};
  std::unique_ptr<const Model> model_;
  std::unique_ptr<SessionPool> sessions_;
  std::unique_ptr<PrefixStore> prefixes_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<SchedulerService> service_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace lockstep
