// A server on a free port with the real routes before a fake service, and short deadlines.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/api/router.h"
#include "server/api/routes.h"
#include "server/host/process_stats.h"
#include "server/http/http_server.h"
#include "tests/server/generation/fake_service.h"
#include "tests/server/http/raw_client.h"

namespace lockstep {

inline constexpr char kStream[] = R"({"prompt":"x","stream":true})";
inline constexpr char kWhole[] = R"({"prompt":"x"})";

inline size_t OpenDescriptors() { return static_cast<size_t>(ReadProcessStats().open_fds); }

inline size_t Threads() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Threads:")) return std::stoul(line.substr(8));
  }
  return 0;
}

class HttpServerFixture : public testing::Test {
 protected:
  using Clock = std::chrono::steady_clock;
  using milliseconds = std::chrono::milliseconds;
  using seconds = std::chrono::seconds;

  HttpServerFixture() {
    options_.port = 0;
    options_.threads = 8;
    options_.is_control = IsControlPath;
    options_.is_scrape = IsScrapePath;
    options_.limits.header_time = milliseconds(300);
    options_.limits.body_time = milliseconds(300);
    options_.log = [this](const RequestRecord& record) {
      std::lock_guard lock(mutex_);
      records_.push_back(record);
    };
  }
  void Start() {
    auto server = HttpServer::Start(
        options_, [this](const HttpRequest& request) { return handler_(request); });
    ASSERT_TRUE(server.has_value()) << server.error().message;
    server_ = std::move(*server);
  }
  int port() const { return server_->port(); }
  std::vector<RequestRecord> records() {
    std::lock_guard lock(mutex_);
    return records_;
  }
  std::string Reply(const std::string& line, const std::string& headers = "",
                    const std::string& body = "") {
    RawClient client(port());
    client.SendRequest(line, headers, body);
    return client.ReadReply();
  }
  // So many clients that are connected, and have sent nothing.
  std::vector<std::unique_ptr<RawClient>> Clients(size_t count) {
    std::vector<std::unique_ptr<RawClient>> clients;
    while (clients.size() < count) clients.push_back(std::make_unique<RawClient>(port()));
    return clients;
  }
  std::string Generated() {
    RawClient client(port());
    client.Generate(kWhole);
    return client.ReadReply();
  }
  void ExpectAlive() {
    EXPECT_THAT(Reply("GET /livez"), testing::StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(Generated(), testing::StartsWith("HTTP/1.1 200 "));
  }

  FakeService service_;
  Router router_{service_};
  HttpHandler handler_ = [this](const HttpRequest& r) { return router_.Handle(r); };
  HttpServerOptions options_;
  std::mutex mutex_;
  std::vector<RequestRecord> records_;
  std::unique_ptr<HttpServer> server_;  // last, so that it ends first
};

}  // namespace lockstep
