// Connections that take room, of which there is a bounded number: those that idle, drip or read
// slowly cost nobody else anything, and make way for who comes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "server/http/http_server.h"
#include "tests/server/http/http_server_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using HttpRoomTest = HttpServerFixture;

TEST_F(HttpRoomTest, IdleConnectionsCostNothing) {
  options_.idle = seconds(60);
  Start();
  Reply("GET /livez");
  const size_t threads = Threads();
  const auto clients = Clients(300);
  for (size_t i = 1; i < clients.size(); i += 2) {  // which idle after a first request
    clients[i]->SendRequest("GET /livez");
    EXPECT_THAT(clients[i]->ReadReply(), StartsWith("HTTP/1.1 200 "));
  }
  EXPECT_EQ(Threads(), threads);
  const double cpu = ReadProcessStats().cpu_s;
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_LT(ReadProcessStats().cpu_s - cpu, 0.1);
  for (auto& client : clients) {
    client->SendRequest("GET /livez");
    EXPECT_THAT(client->ReadReply(), StartsWith("HTTP/1.1 200 "));
  }
  const auto start = Clock::now();
  EXPECT_TRUE(server_->Stop(seconds(60)));
  EXPECT_LT(Clock::now() - start, seconds(10));
  for (auto& client : clients) EXPECT_EQ(client->ReadToEnd(), "");
}

// A body that can never fit is no reason to try again, and is refused before it is sent.
TEST_F(HttpRoomTest, ABodyBeyondAllMemoryIsRefusedForGood) {
  constexpr size_t kMiB = size_t{1} << 20;
  service_.script = "ab";
  options_.memory = std::make_shared<MemoryBudget>(kMiB);
  Start();
  const std::string head =
      "POST /generate HTTP/1.1\nHost: h\nContent-Type: application/json\nContent-Length: ";
  RawClient client(port());
  client.Send(Http(head + std::to_string(kMiB) + "\n\n"));
  const std::string reply = client.ReadReply();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(reply, HasSubstr("1048576 bytes; --request-memory"));
  // One that just fits is read, whatever its buffer would have grown to.
  const std::string text = R"({"prompt":"x")" + std::string(kMiB * 7 / 8, ' ') + "}";
  RawClient other(port());
  other.Generate(text);
  EXPECT_THAT(other.ReadReply(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpRoomTest, AnIdleConnectionEnds) {
  options_.idle = milliseconds(100);
  Start();
  RawClient silent(port()), used(port());
  used.SendRequest("GET /livez");
  used.ReadReply();
  EXPECT_EQ(silent.ReadToEnd(), "");
  EXPECT_EQ(used.ReadToEnd(), "");
}

TEST_F(HttpRoomTest, IdleAndDrippingConnectionsMakeRoomForOthers) {
  options_.connections = 4;
  options_.idle = seconds(60);
  Start();
  const auto clients = Clients(4);
  for (size_t i = 0; i < clients.size(); ++i) {
    if (i % 2 == 0) {
      clients[i]->SendRequest("GET /livez");
      EXPECT_THAT(clients[i]->ReadReply(), StartsWith("HTTP/1.1 200 "));
    } else {
      clients[i]->Send("GET /livez HTTP/1.1\r\nHos");
    }
  }
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Reply("GET /livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpRoomTest, AConnectionTooManyIsRefused) {
  options_.connections = 4;
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->Generate(kWhole);
    ASSERT_TRUE(Eventually([&] { return server_->active() == i + 1; }));
  }
  for (int i = 0; i < 200; ++i) {
    RawClient client(port());
    const std::string reply = client.ReadToEnd();
    ASSERT_THAT(reply, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(reply, HasSubstr("Retry-After: "));
    EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  }
  clients.pop_back();
  EXPECT_TRUE(Eventually([&] { return Reply("GET /livez").starts_with("HTTP/1.1 200 "); }));
}

// More than twice a second each of 300 clients sends a byte, of a head or of a body.
TEST_F(HttpRoomTest, DrippingClientsDelayNobody) {
  service_.script = "ab";
  options_.limits.header_time = options_.limits.body_time = seconds(3);
  Start();
  Reply("GET /livez");
  const size_t threads = Threads();
  const auto clients = Clients(300);
  for (size_t i = 0; i < clients.size(); ++i) {
    clients[i]->Send(Http(i % 2 == 0 ? "GET / HTTP/1.1\nHost: h\nX: "
                                     : "POST /generate HTTP/1.1\nHost: h\nContent-Length: 99\n\n"));
  }
  std::chrono::duration<double, std::milli> slowest{0};
  const double cpu = ReadProcessStats().cpu_s;
  const auto start = Clock::now();
  while (Clock::now() < start + seconds(2)) {
    for (auto& client : clients) client->Send("a");
    for (int probe = 0; probe < 4; ++probe) {
      const auto asked = Clock::now();
      EXPECT_THAT(Reply("GET /livez"), StartsWith("HTTP/1.1 200 "));
      slowest = std::max<decltype(slowest)>(slowest, Clock::now() - asked);
      std::this_thread::sleep_for(milliseconds(100));
    }
    EXPECT_THAT(Generated(), HasSubstr(R"("text":"ab")"));
  }
  std::printf("slowest of /livez: %.1f ms; CPU: %.0f%%\n", slowest.count(),
              (ReadProcessStats().cpu_s - cpu) / 2 * 100);
  EXPECT_LT(slowest, seconds(1));
  EXPECT_EQ(Threads(), threads);
  for (auto& client : clients) EXPECT_THAT(client->ReadReply(), StartsWith("HTTP/1.1 408 "));
  ExpectAlive();
}

// Slow bodies that hold every connection: who comes gets in, and the slowest make room for it.
TEST_F(HttpRoomTest, SlowBodiesMakeRoomForOthers) {
  service_.script = "ab";
  options_.connections = 8;
  options_.limits.body_time = seconds(30);
  Start();
  const std::string head = Http(
      "POST /generate HTTP/1.1\nHost: h\nContent-Type: application/json\n"
      "Content-Length: 300000\n\n");
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    // The first is the oldest, but not the slowest: it has sent the most.
    clients.back()->Send(head + R"({"prompt":")" + std::string(i == 0 ? 200'000 : 10, 'a'));
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_THAT(Reply("GET /livez"), StartsWith("HTTP/1.1 200 "));
  const std::string refused = clients[1]->ReadReply();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, HasSubstr("too many slow requests"));
  EXPECT_THAT(refused, HasSubstr("Retry-After: "));
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Generated(), StartsWith("HTTP/1.1 200 "));
  clients[0]->Send(std::string(300'000 - 200'000 - 13, 'a') + R"("})");
  EXPECT_THAT(clients[0]->ReadReply(), StartsWith("HTTP/1.1 200 "));
}

// Readers that take nothing of their replies hold every connection.
TEST_F(HttpRoomTest, SlowReadersMakeRoomForOthers) {
  options_.connections = 4;
  options_.write_stall = seconds(60);
  handler_ = [](const HttpRequest& request) {
    HttpReply reply;
    reply.body = request.path == "/long" ? std::string(8 * 1024 * 1024, 'x') : "short";
    return reply;
  };
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->SendRequest("GET /long");
    ASSERT_TRUE(Eventually([&] { return records().size() == i + 1; }));
  }
  EXPECT_TRUE(Eventually([&] { return Reply("GET /short").ends_with("short"); }));
}

// Every thread of the server sleeps while the requests arrive and their time runs out, as after
// SIGSTOP or on a machine that was asleep.
TEST_F(HttpRoomTest, WhatHasArrivedCountsBeforeTheTime) {
  service_.script = "ab";
  options_.waiting = 100;
  options_.idle = options_.limits.header_time = options_.limits.body_time = seconds(3);
  Start();
  const std::string body = R"({"prompt":")" + std::string(100'000, 'a') + R"("})";
  const std::string whole =
      Http("POST /generate HTTP/1.1\nHost: h\nContent-Type: application/json\nContent-Length: " +
           std::to_string(body.size()) + "\n\n") +
      body;
  // A child sends for the clients, since the threads of this process, the server's, are stopped.
  std::vector<std::unique_ptr<RawClient>> clients;
  const size_t sent[] = {0, 10, 200};  // until then: they idle, send a head, send a body
  for (size_t i = 0; i < 90; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->Send(whole.substr(0, sent[i % 3]));
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    kill(parent, SIGSTOP);
    // Nothing is allocated: another thread may have held the heap's lock as this one was made.
    for (size_t i = 0; i < clients.size(); ++i) {
      clients[i]->Send(std::string_view(whole).substr(sent[i % 3]));
    }
    usleep(3'500'000);
    kill(parent, SIGCONT);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  for (auto& client : clients) EXPECT_THAT(client->ReadReply(), StartsWith("HTTP/1.1 200 "));
}

// With no descriptor left, connections that idle give theirs to new ones.
TEST_F(HttpRoomTest, WithoutDescriptorsIdleConnectionsMakeRoom) {
  options_.idle = seconds(60);
  Start();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->SendRequest("GET /livez");
    EXPECT_THAT(clients.back()->ReadReply(), StartsWith("HTTP/1.1 200 "));
  }
  std::vector<std::unique_ptr<RawClient>> more;
  for (int i = 0; i < 4; ++i) more.push_back(std::make_unique<RawClient>(-1));  // sockets alone
  rlimit none = before;
  none.rlim_cur = OpenDescriptors();  // those of the clients below are open already
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (auto& client : more) {
    client->Connect(port());
    client->SendRequest("GET /livez");
    EXPECT_THAT(client->ReadReply(), StartsWith("HTTP/1.1 200 "));
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// Without descriptors and without idle connections nothing can be accepted: that is waited for,
// without spinning.
TEST_F(HttpRoomTest, DescriptorsRunOutAndComeBack) {
  options_.idle = seconds(60);
  service_.script = "ab";
  Start();
  ExpectAlive();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = OpenDescriptors() + 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<std::unique_ptr<RawClient>> clients;
  do {
    clients.push_back(std::make_unique<RawClient>(port()));
  } while (clients.back()->connected() && clients.size() < 100);
  clients.pop_back();
  EXPECT_GT(clients.size(), 32u);  // more than half of the descriptors: some are not accepted

  RawClient& last = *clients.back();
  last.SendRequest("GET /livez");
  const double cpu = ReadProcessStats().cpu_s;
  std::this_thread::sleep_for(seconds(1));
  EXPECT_LT(ReadProcessStats().cpu_s - cpu, 0.2);

  clients.erase(clients.begin(), clients.end() - 1);
  EXPECT_THAT(last.ReadReply(), StartsWith("HTTP/1.1 200 "));
  clients.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ExpectAlive();
}

// Metrics take a millisecond each, or a second where a parent asks its models for them.
TEST_F(HttpRoomTest, HealthChecksDoNotWaitForMetrics) {
  std::promise<void> go;
  const std::shared_future<void> gone(go.get_future());
  handler_ = [&, gone](const HttpRequest& request) {
    if (request.path != "/metrics") return router_.Handle(request);
    gone.wait();
    return HttpReply{};
  };
  Start();
  constexpr int kHeld = 2 + 64;  // threads, and those that wait for one
  std::vector<std::unique_ptr<RawClient>> scrapes;
  for (int i = 0; i < kHeld + 1; ++i) {
    scrapes.push_back(std::make_unique<RawClient>(port()));
    scrapes.back()->SendRequest("GET /metrics");
  }
  // Whichever comes last is refused, and nobody else.
  EXPECT_THAT(Reply("GET /metrics"), StartsWith("HTTP/1.1 503 "));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Reply("GET /livez"), StartsWith("HTTP/1.1 200 "));
  go.set_value();
  int served = 0;
  for (const auto& scrape : scrapes) {
    served += scrape->ReadReply().starts_with("HTTP/1.1 200 ") ? 1 : 0;
  }
  EXPECT_EQ(served, kHeld);
}

}  // namespace
}  // namespace lockstep
