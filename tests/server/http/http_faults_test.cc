// What clients can do wrong on purpose, over real sockets: each gets its status, and then the
// server still answers, has as many descriptors and threads as before, and spends no time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "server/http/http_server.h"
#include "tests/server/http/http_server_fixture.h"
#include "tests/support/repeated.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using HttpFaultsTest = HttpServerFixture;

TEST_F(HttpFaultsTest, EachHasItsStatus) {
  service_.script = "ab";
  Start();
  const std::string get = "GET /livez HTTP/1.1\nHost: h\n";
  const std::string post = "POST /generate HTTP/1.1\nHost: h\nContent-Type: application/json\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\n\n";
  const struct {
    const char* what;
    std::string bytes;
    int status;
  } cases[] = {
      {"garbage", "\x01\x02\x03\x04", 400},
      {"TLS hello", "\x16\x03\x01\x02\x01", 400},
      {"version 9.9", Http("GET /livez HTTP/9.9\nHost: h\n\n"), 505},
      {"TRACE", Http("TRACE /livez HTTP/1.1\nHost: h\n\n"), 405},
      {"unknown method", Http("BREW /livez HTTP/1.1\nHost: h\n\n"), 501},
      {"long target", Http("GET /" + std::string(8200, 'a') + " HTTP/1.1\nHost: h\n\n"), 414},
      {"long header", Http(get + "X: " + std::string(8200, 'a') + "\n\n"), 431},
      {"101 headers", Http(get + Repeated("X: y\n", 100) + "\n"), 431},
      {"10,000 headers", Http(get + Repeated("X: y\n", 10'000) + "\n"), 431},
      {"40 KiB of headers", Http(get + Repeated("X: " + std::string(8000, 'y') + "\n", 5)), 431},
      {"no Host", Http("GET /livez HTTP/1.1\n\n"), 400},
      {"length and chunks", Http(chunked.substr(0, chunked.size() - 1) + "Content-Length: 1\n\n"),
       400},
      {"two lengths", Http(post + "Content-Length: 1\nContent-Length: 2\n\nab"), 400},
      {"length -1", Http(post + "Content-Length: -1\n\n"), 400},
      {"length abc", Http(post + "Content-Length: abc\n\n"), 400},
      {"length 2^64", Http(post + "Content-Length: 18446744073709551616\n\n"), 400},
      {"length over the limit", Http(post + "Content-Length: 16777217\n\n"), 413},
      {"no length", Http(post + "\n"), 411},
      {"chunk over the limit", Http(chunked + "1000001\n"), 413},
      {"chunk size -2", Http(chunked + "-2\nab\n0\n\n"), 400},
      {"chunk size zz", Http(chunked + "zz\nab\n0\n\n"), 400},
      {"chunk size of 17 digits", Http(chunked + "00000000000000001\na\n0\n\n"), 400},
      {"no last chunk", Http(chunked + "2\nab\n"), 408},
      {"short body", Http(post + "Content-Length: 9\n\n{}"), 408},
      {"slow head", Http("GET /livez HTTP/1.1\nHos"), 408},
      {"gzip", Http(post + "Content-Encoding: gzip\nContent-Length: 2\n\n{}"), 415},
      {"br", Http(post + "Content-Encoding: br\nContent-Length: 2\n\n{}"), 415},
      {"deflate", Http(post + "Content-Encoding: deflate\nContent-Length: 2\n\n{}"), 415},
      {"unknown coding", Http(post + "Transfer-Encoding: x\n\n"), 501},
      {"expectation", Http(post + "Expect: x\nContent-Length: 2\n\n{}"), 417},
      {"CR in header", Http(get) + "X: a\rb\r\n\r\n", 400},
      {"NUL in header", Http(get) + std::string("X: a\0b\r\n\r\n", 10), 400},
      {"NUL in target", std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28), 400},
      {"CR in target", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"bare LF", "GET /livez HTTP/1.1\nHost: h\n\n", 400},
      {"unknown path", Http("GET /nothing HTTP/1.1\nHost: h\n\n"), 404},
      {"GET where POST is", Http("GET /generate HTTP/1.1\nHost: h\n\n"), 405},
      {"path upwards", Http("GET /../ HTTP/1.1\nHost: h\n\n"), 404},
      {"CR LF, encoded", Http("GET /%0d%0aX:y HTTP/1.1\nHost: h\n\n"), 404},
      {"form",
       Http("POST /generate HTTP/1.1\nHost: h\nContent-Type: application/x-www-form-urlencoded\n"
            "Content-Length: 9000\n\n") +
           std::string(9000, 'a'),
       415},
      {"not JSON", Http(post + "Content-Length: 1\n\n{"), 400},
      {"deep JSON", Http(post + "Content-Length: 100000\n\n") + std::string(100'000, '['), 400},
  };
  const size_t descriptors = OpenDescriptors(), threads = Threads();
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    {
      RawClient client(port());
      client.Send(c.bytes);
      const std::string reply = client.ReadReply();
      EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + std::to_string(c.status) + " "));
      EXPECT_THAT(reply, HasSubstr("\r\n\r\n{\"error\":{\"message\":\""));
      EXPECT_THAT(reply, HasSubstr("X-Request-Id: req-"));
      EXPECT_THAT(reply, Not(HasSubstr("EXCEPTION_WHAT")));
    }
    ExpectAlive();
    EXPECT_TRUE(Eventually([&] { return OpenDescriptors() == descriptors; }));
  }
  EXPECT_EQ(Threads(), threads);
}

// Whatever goes on without end is read to its limit, and a little more is dropped.
TEST_F(HttpFaultsTest, WhatHasNoEndIsCutOff) {
  service_.script = "ab";
  options_.limits.header_time = options_.limits.body_time = seconds(30);
  options_.limits.body = 1 << 20;
  Start();
  constexpr size_t kMost = size_t{128} << 20;
  const std::string post = "POST /generate HTTP/1.1\nHost: h\n";
  const struct {
    const char* what;
    std::string head, piece;
    int status;
  } cases[] = {
      {"line", "GET /", std::string(65'536, 'a'), 414},
      {"header", Http("GET / HTTP/1.1\nX: "), std::string(65'536, 'a'), 431},
      {"headers", Http("GET / HTTP/1.1\n"), Http(Repeated("X: y\n", 10'000)), 431},
      {"chunks", Http(post + "Transfer-Encoding: chunked\n\n"),
       Http("10000\n" + std::string(65'536, 'x') + "\n"), 413},
      {"small chunks", Http(post + "Transfer-Encoding: chunked\n\n"),
       Http(Repeated("1\nx\n", 10'000)), 413},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    RawClient client(port());
    client.Send(c.head);
    size_t sent = 0;
    while (sent < kMost && client.Send(c.piece)) sent += c.piece.size();
    EXPECT_LT(sent, kMost);  // it reads no more
    EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 " + std::to_string(c.status) + " "));
    ExpectAlive();
  }
}

TEST_F(HttpFaultsTest, RequestsInOneGoAreAnsweredInTurn) {
  service_.script = "ab";
  Start();
  RawClient client(port());
  const std::string body(kWhole);
  client.Send(Http("GET /livez HTTP/1.1\nHost: h\n\nPOST /generate HTTP/1.1\nHost: h\n"
                   "Content-Type: application/json\nContent-Length: " +
                   std::to_string(body.size()) + "\n\n") +
              body + Http("GET /nothing HTTP/1.1\nHost: h\n\nrubbish\n\n"));
  EXPECT_THAT(client.ReadReply(), EndsWith(R"({"status":"ok"})"));
  EXPECT_THAT(client.ReadReply(), HasSubstr(R"("text":"ab")"));
  EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(client.ReadToEnd(), "");
}

// What a stranger sends must not fill the memory of those whose bodies are read.
TEST_F(HttpFaultsTest, WhereTheHeadDecidesNoByteOfTheBodyIsWaitedFor) {
  ApiSettings settings;
  settings.keys = *ApiKeys::Load({"key"}, "");
  const Router router(service_, settings);
  handler_ = [&router](const HttpRequest& r) { return router.Handle(r); };
  options_.decides = [&router](const HttpRequest& r) { return router.Decides(r); };
  options_.limits.body_time = seconds(60);
  Start();
  const std::string json = "Content-Type: application/json\n", key = "X-Api-Key: key\n";
  const struct {
    const char* what;
    std::string line, headers;
    int status;
  } cases[] = {
      {"no key", "POST /generate", json, 401},
      {"wrong key", "POST /v1/messages", json + "X-Api-Key: other\n", 401},
      {"no route", "POST /nope", json + key, 404},
      {"method", "POST /livez", json, 405},
      {"method", "PUT /generate", json + key, 405},
      {"GET", "GET /livez", "", 200},
      {"type", "POST /%67enerate", key + "Content-Type: text/plain\n", 415},
  };
  for (const auto& c : cases) {
    for (const char* framing :
         {"Content-Length: 16000000\n\n", "Content-Length: 9\n\nabc",
          "Expect: 100-continue\nContent-Length: 9\n\n", "Transfer-Encoding: chunked\n\n"}) {
      SCOPED_TRACE(std::string(c.what) + ", " + framing);
      RawClient client(port());
      client.Send(Http(c.line + " HTTP/1.1\nHost: h\n" + c.headers + framing));
      const std::string reply = client.ReadToEnd();
      EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + std::to_string(c.status) + " "));
      EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
    }
  }
  // The body is read where it counts, and whoever sent his whole one keeps the connection.
  RawClient client(port());
  service_.script = "ab";
  client.Send(Http("POST /generate HTTP/1.1\nHost: h\nContent-Length: 2\n\n{}"));
  EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 401 "));
  client.Send(Http("POST /%67enerate HTTP/1.1\nHost: h\nContent-Length: " +
                   std::to_string(sizeof kWhole - 1) + "\n" + json + key + "\n"));
  client.Send(kWhole);
  EXPECT_THAT(client.ReadReply(), HasSubstr(R"("text":"ab")"));
  server_.reset();  // before the router
}

TEST_F(HttpFaultsTest, AStrangeHostIsRefusedBeforeItsBody) {
  options_.guard_loopback = true;
  options_.limits.body_time = seconds(60);
  Start();
  RawClient client(port());
  client.Send(
      Http("POST /generate HTTP/1.1\nHost: evil.example\nContent-Length: 9\n"
           "Expect: 100-continue\n\n"));
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 403 "));
}

TEST_F(HttpFaultsTest, ABodyIsAskedFor) {
  service_.script = "ab";
  Start();
  RawClient client(port());
  const std::string head = Http(
      "POST /generate HTTP/1.1\nHost: h\nContent-Type: application/json\nExpect: 100-continue\n"
      "Content-Length: ");
  client.Send(head + std::to_string(sizeof kWhole - 1) + "\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send(kWhole);
  EXPECT_THAT(client.ReadUntil(R"("text":"ab")"), HasSubstr("HTTP/1.1 200 OK"));

  RawClient refused(port());
  refused.Send(head + "99999999\r\n\r\n");
  EXPECT_THAT(refused.ReadToEnd(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpFaultsTest, TheAddressOfAClientIsItsSockets) {
  std::string peer, header;
  handler_ = [&](const HttpRequest& request) {
    peer = request.peer;
    header = FindHeader(request.headers, "REMOTE_ADDR");
    return HttpReply{};
  };
  Start();
  Reply("GET /", "REMOTE_ADDR: 6.6.6.6\r\nX-Forwarded-For: \r\n");
  EXPECT_EQ(peer, "127.0.0.1");
  EXPECT_EQ(header, "6.6.6.6");  // what the client says stays what the client says
}

TEST_F(HttpFaultsTest, ALoopbackServerWithoutKeysAnswersToItsOwnNamesOnly) {
  options_.guard_loopback = true;
  options_.allowed_hosts = {"llm.example"};
  Start();
  const std::pair<std::string, int> cases[] = {
      {"localhost", 200},
      {"127.0.0.1:" + std::to_string(port()), 200},
      {"[::1]:1", 200},
      {"LLM.example:443", 200},
      {"evil.example", 403},
      {"evil.example:" + std::to_string(port()), 403},
      {"localhost.evil.example", 403},
  };
  for (const auto& [host, status] : cases) {
    for (const char* path : {"/livez", "/metrics", "/"}) {
      RawClient client(port());
      client.Send(Http("GET " + std::string(path) + " HTTP/1.1\nHost: " + host + "\n\n"));
      const std::string reply = client.ReadReply();
      EXPECT_EQ(reply.starts_with("HTTP/1.1 403 "), status == 403) << host << path << reply;
      EXPECT_EQ(reply.find(R"("code":"host_not_allowed")") != reply.npos, status == 403);
    }
  }
  RawClient old(port());
  old.Send(Http("GET /livez HTTP/1.0\n\n"));
  EXPECT_THAT(old.ReadToEnd(), StartsWith("HTTP/1.1 200 "));
}

// Bodies that stop half way must not fill the memory: the slowest make way for the others.
TEST_F(HttpFaultsTest, LargeBodiesAtOnceAreBounded) {
  constexpr size_t kHalf = 128 * 1024;
  service_.script = "ab";
  options_.limits.body_time = seconds(30);
  options_.limits.body = 2 * kHalf;
  // A buffer has up to twice what is in it: from three to six of the eight halves fit.
  options_.memory = std::make_shared<MemoryBudget>(6 * kHalf);
  Start();
  // The blanks are read and no part of the prompt, which would need memory of its own.
  const std::string text = R"({"prompt":"x")" + std::string(2 * kHalf - 14, ' ') + "}";
  ASSERT_EQ(text.size(), 2 * kHalf);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients[i]->Send(
        Http("POST /generate HTTP/1.1\nHost: h\nContent-Type: application/json\n"
             "Content-Length: " +
             std::to_string(text.size()) + "\n\n"));
    clients[i]->Send(text.substr(0, kHalf));
    EXPECT_THAT(Generated(), StartsWith("HTTP/1.1 200 "));  // a small one is always read
  }
  // Which are the slowest is the machine's business; one that goes on is served.
  const auto refused = [](const auto& client) { return client->readable(); };
  EXPECT_TRUE(Eventually([&] { return std::ranges::count_if(clients, refused) >= 2; }));
  std::this_thread::sleep_for(milliseconds(200));  // more may be on their way
  const auto first = std::partition(clients.begin(), clients.end(),
                                    [&](const auto& client) { return !refused(client); });
  for (auto client = first; client != clients.end(); ++client) {
    const std::string reply = (*client)->ReadReply();
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(reply, HasSubstr("Retry-After: "));
  }
  ASSERT_NE(first, clients.begin());
  clients.erase(clients.begin() + 1, clients.end());
  EXPECT_TRUE(Eventually([&] { return options_.memory->used() <= 3 * kHalf; }));
  RawClient& going_on = **clients.begin();
  going_on.Send(text.substr(kHalf));
  EXPECT_THAT(going_on.ReadReply(), StartsWith("HTTP/1.1 200 "));
  clients.clear();
  clients.push_back(std::make_unique<RawClient>(port()));
  EXPECT_TRUE(Eventually([&] {
    RawClient client(port());
    client.Generate(text);
    return client.ReadReply().starts_with("HTTP/1.1 200 ");
  }));
}

// Answers that nobody reads yet are bounded too; small ones always have a place.
TEST_F(HttpFaultsTest, LargeRepliesAtOnceAreBounded) {
  options_.write_stall = seconds(30);
  options_.memory = std::make_shared<MemoryBudget>(8 << 20);
  handler_ = [](const HttpRequest& request) {
    HttpReply reply;
    reply.body = std::string(request.path == "/large" ? 2 << 20 : 10, 'x');
    return reply;
  };
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients[i]->Send(Http("GET /large HTTP/1.1\nHost: h\n\n"));
    ASSERT_TRUE(Eventually([&] { return clients[i]->readable(); }));
    EXPECT_LE(options_.memory->used(), options_.memory->capacity());
  }
  EXPECT_THAT(Reply("GET /small"), StartsWith("HTTP/1.1 200 "));
  size_t served = 0;
  for (const auto& client : clients) {
    const std::string reply = client->ReadReply();
    served += reply.starts_with("HTTP/1.1 200 ");
    EXPECT_THAT(reply, AnyOf(StartsWith("HTTP/1.1 200 "), StartsWith("HTTP/1.1 429 ")));
  }
  EXPECT_GE(served, 2u);
  EXPECT_LT(served, 8u);
  EXPECT_TRUE(Eventually([&] { return options_.memory->used() < 1 << 20; }));
  EXPECT_THAT(Reply("GET /large"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpFaultsTest, APageMayReadWhyItsRequestWasRefused) {
  ApiSettings settings;
  settings.cors.origins = {"https://a.example"};
  const Router router(service_, settings);
  options_.refuse = [&router](const HttpRequest& request, const ReadError& error) {
    return router.Refuse(request, error.status, error.message);
  };
  options_.limits.body = 10;
  Start();
  RawClient client(port());
  client.Generate(kWhole, "Origin: https://a.example\r\n");
  EXPECT_THAT(client.ReadReply(),
              AllOf(StartsWith("HTTP/1.1 413 "),
                    HasSubstr("Access-Control-Allow-Origin: https://a.example\r\n")));
}

TEST_F(HttpFaultsTest, ARequestTooManyIsRefusedAndHealthIsAnswered) {
  options_.threads = 2;
  options_.waiting = 1;
  Start();
  RawClient clients[3] = {RawClient(port()), RawClient(port()), RawClient(port())};
  for (size_t i = 0; i < 3; ++i) {
    clients[i].Generate(kWhole);
    ASSERT_TRUE(Eventually([&] { return server_->active() == i + 1; }));
  }
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 2; }));  // the third waits
  const std::string reply = Generated();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(reply, HasSubstr("Retry-After: "));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  for (const char* path : {"/livez", "/readyz?verbose", "/health"}) {
    EXPECT_THAT(Reply(std::string("GET ") + path), StartsWith("HTTP/1.1 200 "));
  }
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(Eventually([&] { return service_.submitted() > i; }));
    service_.Finish(i);
  }
  for (RawClient& client : clients) EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpFaultsTest, ALongReplyHoldsNoThread) {
  const std::string body(8 * 1024 * 1024, 'x');
  options_.threads = 1;
  options_.write_stall = seconds(2);
  handler_ = [&](const HttpRequest&) {
    HttpReply reply;
    reply.body = body;
    return reply;
  };
  Start();
  RawClient stalled(port()), reader(port());
  stalled.SendRequest("GET /long");
  ASSERT_TRUE(Eventually([&] { return records().size() == 1; }));
  reader.SendRequest("GET /long");
  EXPECT_THAT(reader.ReadReply(), EndsWith("\r\n\r\n" + body));
  EXPECT_TRUE(Eventually([&] { return server_->active() == 0; }));  // the stalled one is cut off
  EXPECT_LT(stalled.ReadReply().size(), body.size());
}

TEST_F(HttpFaultsTest, AStreamIsNotHeldUpByASlowReader) {
  options_.write_stall = milliseconds(300);
  handler_ = [](const HttpRequest&) {
    HttpReply reply;
    reply.next = [] { return BodyPart{std::string(100'000, 'x'), BodyPart::Then::kMore}; };
    return reply;
  };
  Start();
  RawClient client(port());
  client.SendRequest("GET /endless");
  EXPECT_TRUE(Eventually([&] { return client.ReadSome(1) && records().size() == 1; }));
}

}  // namespace
}  // namespace lockstep
