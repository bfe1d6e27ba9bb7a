#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "server/http/listener.h"
#include "tests/server/http/http_server_fixture.h"

namespace lockstep {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using HttpServerTest = HttpServerFixture;

TEST_F(HttpServerTest, KeepsAConnectionAlive) {
  Start();
  service_.script = "ab";
  RawClient client(port());
  for (int i = 0; i < 3; ++i) {
    client.SendRequest("GET /livez");
    EXPECT_THAT(client.ReadReply(), HasSubstr("\r\n\r\n{\"status\":\"ok\"}"));
    client.Generate(kWhole);
    EXPECT_THAT(client.ReadReply(), HasSubstr(R"("text":"ab")"));
  }
  client.SendRequest("HEAD /livez", "Connection: close\r\n");
  const std::string head = client.ReadToEnd();
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nAccept-Ranges: none\r\n"));
}

TEST_F(HttpServerTest, AnswersWhatIsWrongAndLives) {
  Start();
  const std::string json = "Content-Type: application/json\r\n";
  const struct {
    std::string line, status, headers = "", body = "";
  } cases[] = {
      {"GET /nothing", "404 "},
      {"GET /a?b?c#d", "404 "},
      {"GET /generate", "405 "},
      {"PUT /generate", "405 ", "Content-Length: 0\r\n"},
      {"POST /generate", "415 ", "Content-Type: text/plain\r\n", "{}"},
      {"POST /generate", "415 ", "Content-Type: multipart/form-data; boundary=x\r\n", "--x"},
      {"POST /generate", "415 ", json + "Content-Encoding: gzip\r\n", "{}"},
      {"POST /generate", "413 ", json, std::string((16 << 20) + 1, ' ')},
      {"POST /generate", "400 ", json, "{"},
      {"POST /generate", "400 ", json + "Range: bytes=0-1\r\n", "{}"},
      {"BREW /", "501 "},
      {"GET /" + std::string(8200, 'a'), "414 "},
  };
  for (const auto& [line, status, headers, body] : cases) {
    SCOPED_TRACE(line.substr(0, 40) + headers);
    const std::string reply = Reply(line, headers, body);
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + status));
    EXPECT_THAT(reply, HasSubstr(R"({"error":{"message":")"));
    EXPECT_THAT(reply, HasSubstr("Content-Type: application/json\r\n"));
    EXPECT_THAT(reply, HasSubstr("X-Request-Id: req-"));
    EXPECT_THAT(Reply("GET /livez"), StartsWith("HTTP/1.1 200 "));
  }
  EXPECT_THAT(Reply("GET /generate"), HasSubstr("Allow: POST\r\n"));
}

// As clients make them of a base URL that ends in a slash.
TEST_F(HttpServerTest, SlashesTooManyMeanNothing) {
  Start();
  for (const char* path :
       {"//", "/livez/", "//livez", "/v1//models", "//v1/models//", "/livez/?a=/b//"}) {
    EXPECT_THAT(Reply(std::string("GET ") + path), StartsWith("HTTP/1.1 200 ")) << path;
  }
  for (const char* path : {"/%2Flivez", "/live/z", "/livez/x"}) {
    EXPECT_THAT(Reply(std::string("GET ") + path), StartsWith("HTTP/1.1 404 ")) << path;
  }
}

TEST_F(HttpServerTest, SlowAndSplitRequestsEndInTime) {
  Start();
  RawClient head(port()), body(port());
  head.Send("GET / HTTP/1.1\r\nHo");
  body.Send("POST /generate HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_THAT(head.ReadToEnd(), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(body.ReadToEnd(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(HttpServerTest, EchoesAValidRequestId) {
  Start();
  EXPECT_THAT(Reply("GET /livez", "x-request-id: abc-1\r\n"), HasSubstr("X-Request-Id: abc-1\r\n"));
  EXPECT_THAT(Reply("GET /livez", "X-Request-Id: a b\r\n"), HasSubstr("X-Request-Id: req-"));
  EXPECT_THAT(Reply("GET /livez", "X-Request-Id: " + std::string(129, 'x') + "\r\n"),
              HasSubstr("X-Request-Id: req-"));
  ASSERT_TRUE(Eventually([&] { return records().size() == 3; }));
  EXPECT_EQ(records()[0].request_id, "abc-1");
}

TEST_F(HttpServerTest, EachTokenLeavesWhenItIsMade) {
  Start();
  for (const bool sse : {false, true}) {
    SCOPED_TRACE(sse);
    const size_t i = service_.submitted();
    RawClient client(port());
    client.Generate(kStream, sse ? "Accept: text/event-stream\r\n" : "");
    ASSERT_TRUE(Eventually([&] { return service_.submitted() == i + 1; }));
    const std::string before = sse ? "data: " : "", after = sse ? "\n\n" : "\n";
    for (const char token : {'a', 'b', 'c'}) {
      service_.Send(i, token);
      // Nothing further is sent before this one has arrived.
      const std::string event = before + R"({"index":)" + std::to_string(token - 'a') +
                                R"(,"token":)" + std::to_string(token) + R"(,"text":")" + token +
                                "\"}" + after;
      ASSERT_THAT(client.ReadUntil(event), HasSubstr(event));
    }
    service_.Finish(i);
    const std::string reply = client.ReadUntil("\r\n0\r\n\r\n");
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(reply, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(reply, HasSubstr("Cache-Control: no-cache\r\n"));
    EXPECT_THAT(reply, HasSubstr("X-Accel-Buffering: no\r\n"));
    EXPECT_THAT(reply, HasSubstr(sse ? "Content-Type: text/event-stream; charset=utf-8\r\n"
                                     : "Content-Type: application/x-ndjson\r\n"));
    EXPECT_THAT(reply, HasSubstr(R"("text":"abc",)"));
    EXPECT_THAT(reply, EndsWith("\"done\":true}" + after + "\r\n0\r\n\r\n"));
    EXPECT_FALSE(service_.cancelled(i));
  }
}

TEST_F(HttpServerTest, AnOldClientGetsAStreamWithoutChunks) {
  Start();
  service_.script = "ab";
  RawClient client(port());
  client.Send(
      "POST /generate HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 28\r\n"
      "\r\n" +
      std::string(kStream));
  const std::string reply = client.ReadToEnd();
  EXPECT_THAT(reply, Not(HasSubstr("chunked")));
  EXPECT_THAT(reply, HasSubstr("\r\n\r\n{\"index\":0,"));
  EXPECT_THAT(reply, EndsWith("\"done\":true}\n"));
}

TEST_F(HttpServerTest, AnErrorMidStreamEndsTheConnection) {
  Start();
  RawClient client(port());
  client.Generate(kStream);
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 1; }));
  service_.Send(0, 'a');
  client.ReadUntil("\"text\":\"a\"");
  service_.Fail(0, ErrorKind::kInternal, "broken");
  EXPECT_THAT(client.ReadToEnd(), EndsWith("\"code\":\"internal_error\"}}\n\r\n0\r\n\r\n"));
}

// Queued or in prefill (no token yet), or mid-stream; by FIN or RST; streamed or not.
TEST_F(HttpServerTest, AClientThatGoesAwayFreesItsSession) {
  Start();
  for (const char* body : {kStream, kWhole}) {
    for (const bool reset : {false, true}) {
      for (const bool mid_stream : {false, true}) {
        SCOPED_TRACE(std::string(body) + (reset ? " RST" : " FIN") + (mid_stream ? " late" : ""));
        const size_t i = service_.submitted();
        RawClient client(port());
        client.Generate(body);
        ASSERT_TRUE(Eventually([&] { return service_.submitted() == i + 1; }));
        if (mid_stream) {
          service_.Send(i, 'a');
          if (body == kStream) client.ReadUntil("\"text\":\"a\"");
        }
        EXPECT_FALSE(service_.cancelled(i));
        if (reset) {
          client.Reset();
        } else {
          client.Close();
        }
        EXPECT_TRUE(Eventually([&] { return service_.cancelled(i); }));
        EXPECT_TRUE(Eventually([&] { return records().size() == i + 1; }));
        EXPECT_EQ(records()[i].outcome, "cancelled");
      }
    }
  }
  EXPECT_TRUE(Eventually([&] { return server_->active() == 0; }));
}

TEST_F(HttpServerTest, AReaderThatStallsIsCutOff) {
  options_.write_stall = milliseconds(200);
  Start();
  handler_ = [](const HttpRequest&) {
    HttpReply reply;
    reply.next = [] { return BodyPart{std::string(100'000, 'x'), BodyPart::Then::kMore}; };
    return reply;
  };
  RawClient client(port());
  client.SendRequest("GET /endless");
  EXPECT_TRUE(Eventually([&] { return records().size() == 1; }));
}

TEST_F(HttpServerTest, OverloadIsToldAtOnce) {
  Start();
  service_.refusal = Error{ErrorKind::kOverloaded, "all sessions are in use", {}};
  const std::string reply = Reply("POST /generate", "Content-Type: application/json\r\n", kStream);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(reply, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(reply, HasSubstr(R"("code":"queue_full")"));
}

TEST_F(HttpServerTest, IdleConnectionsMakeWay) {
  options_.threads = 1;
  options_.idle = seconds(60);
  Start();
  RawClient first(port()), second(port());
  first.SendRequest("GET /livez");
  EXPECT_THAT(first.ReadReply(), StartsWith("HTTP/1.1 200 "));
  second.SendRequest("GET /livez");  // the only thread is waiting for the first one's next request
  EXPECT_THAT(second.ReadReply(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, AThrowingHandlerIsA500WithoutDetails) {
  Start();
  handler_ = [](const HttpRequest&) -> HttpReply { throw std::runtime_error("secret"); };
  const std::string reply = Reply("GET /livez");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(reply, HasSubstr(R"("code":"internal_error")"));
  EXPECT_THAT(reply, Not(HasSubstr("secret")));
}

TEST_F(HttpServerTest, WhoComesWhileItIsHeldIsAnsweredLater) {
  options_.held = true;
  Start();
  RawClient client(port());
  client.SendRequest("GET /livez");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(client.readable());
  server_->Accept();
  EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 200 "));
}

// As over a restart: whoever comes from Leave on waits in the socket, and the next server answers.
TEST_F(HttpServerTest, AListenerThatIsKeptIsLeftToTheNextServer) {
  const auto kept = Listen("127.0.0.1", 0);
  ASSERT_TRUE(kept);
  options_.kept = true;
  options_.listener = dup(kept->socket);
  Start();
  RawClient early(kept->port);
  early.SendRequest("GET /livez");
  EXPECT_THAT(early.ReadReply(), StartsWith("HTTP/1.1 200 "));
  server_->Leave();
  std::this_thread::sleep_for(milliseconds(50));
  RawClient late(kept->port);
  late.SendRequest("GET /livez");
  early.SendRequest("GET /livez");
  EXPECT_THAT(early.ReadReply(), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(server_->Stop(seconds(10)));
  EXPECT_FALSE(late.readable());
  options_.listener = kept->socket;
  Start();
  EXPECT_THAT(late.ReadReply(), StartsWith("HTTP/1.1 200 "));
}

// A server that is told to end before it has accepted anybody leaves them, too.
TEST_F(HttpServerTest, AKeptListenerThatWasNotYetAcceptedFromIsLeft) {
  const auto kept = Listen("127.0.0.1", 0);
  ASSERT_TRUE(kept);
  options_.kept = options_.held = true;
  options_.listener = dup(kept->socket);
  Start();
  RawClient client(kept->port);
  client.SendRequest("GET /livez");
  server_->Leave();
  server_->Accept();
  EXPECT_TRUE(server_->Stop(seconds(10)));
  EXPECT_FALSE(client.readable());
  options_.held = false;
  options_.listener = kept->socket;
  Start();
  EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, APortInUseIsAnError) {
  Start();
  HttpServerOptions same;
  same.port = port();
  const auto second = HttpServer::Start(same, handler_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
  same.host = "no.such.host.invalid";
  EXPECT_THAT(HttpServer::Start(same, handler_).error().message, HasSubstr("no.such.host"));
}

TEST_F(HttpServerTest, StopLetsAnswersEnd) {
  Start();
  RawClient client(port()), idle(port());
  client.Generate(kStream);
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 1; }));
  service_.Send(0, 'a');
  client.ReadUntil("\"text\":\"a\"");
  service_.draining = true;
  EXPECT_THAT(Reply("GET /readyz"), StartsWith("HTTP/1.1 503 "));
  auto stopped = std::async(std::launch::async, [&] { return server_->Stop(seconds(10)); });
  service_.Send(0, 'b');
  service_.Finish(0);
  EXPECT_THAT(client.ReadUntil("\r\n0\r\n\r\n"), HasSubstr(R"("text":"ab")"));
  EXPECT_TRUE(stopped.get());
  EXPECT_FALSE(RawClient(port()).connected());
}

TEST_F(HttpServerTest, ALeavingServerAnswersAndSaysThatItCloses) {
  Start();
  RawClient client(port());
  client.SendRequest("GET /livez");
  EXPECT_THAT(client.ReadReply(), Not(HasSubstr("Connection: close")));
  server_->Leave();
  client.SendRequest("GET /livez");
  EXPECT_THAT(client.ReadReply(),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Connection: close\r\n")));
  EXPECT_EQ(client.ReadToEnd(), "");                              // and it does
  EXPECT_THAT(Reply("GET /livez"), StartsWith("HTTP/1.1 200 "));  // new ones are taken
}

// Whoever keeps a connection may have sent a request before it hears that the server leaves.
TEST_F(HttpServerTest, StopAnswersWhatIsOnItsWay) {
  Start();
  RawClient client(port()), other(port());
  for (RawClient* const each : {&client, &other}) {
    each->SendRequest("GET /livez");
    each->ReadReply();
  }
  auto stopped = std::async(std::launch::async, [&] { return server_->Stop(seconds(10)); });
  for (RawClient* const each : {&client, &other}) {
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_FALSE(RawClient(port()).connected());  // new ones go elsewhere at once
    each->SendRequest("GET /livez");
    EXPECT_THAT(each->ReadReply(),
                AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Connection: close\r\n")));
  }
  EXPECT_TRUE(stopped.get());
}

TEST_F(HttpServerTest, RepliesHaveADate) {
  Start();
  EXPECT_THAT(Reply("GET /livez"),
              testing::ContainsRegex("\r\nDate: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} "
                                     "[0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n"));
}

TEST_F(HttpServerTest, StopCutsOffWhatDoesNotEnd) {
  Start();
  RawClient client(port());
  client.Generate(kWhole);
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 1; }));
  auto stopped = std::async(std::launch::async, [&] { return server_->Stop(milliseconds(50)); });
  EXPECT_TRUE(Eventually([&] { return service_.cancelled(0); }));
  EXPECT_FALSE(stopped.get());
}

TEST_F(HttpServerTest, ProbesItself) {
  Start();
  EXPECT_EQ(*HttpGetStatus("127.0.0.1", port(), "/readyz", seconds(5)), 200);
  EXPECT_EQ(*HttpGetStatus("127.0.0.1", port(), "/nothing", seconds(5)), 404);
  const int closed = port();
  server_.reset();
  const auto refused = HttpGetStatus("127.0.0.1", closed, "/readyz", seconds(5));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, EndsWith("/readyz: Connection refused"));
}

TEST_F(HttpServerTest, WhoHasGoneGetsNoAnswer) {
  handler_ = [](const HttpRequest&) {
    return ErrorReply(Error{ErrorKind::kCancelled, "the client went away", {}});
  };
  Start();
  RawClient client(port());
  client.SendRequest("GET /");
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_TRUE(Eventually([&] { return !records().empty(); }));
  EXPECT_EQ(records().at(0).status, 499);
}

// One who has only sent all waits for the answer; one who has closed the socket does not, and both
// look the same at first.
TEST_F(HttpServerTest, WhoHasSentAllGetsTheAnswerAndWhoHasLeftIsNoticed) {
  std::atomic<int> gone{0};
  handler_ = [&gone](const HttpRequest& request) {
    const auto end = std::chrono::steady_clock::now() + milliseconds(800);
    while (std::chrono::steady_clock::now() < end) {
      if (request.client_gone()) {
        ++gone;
        return ErrorReply(Error{ErrorKind::kCancelled, "the client went away", {}});
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
    HttpReply reply;
    reply.body = "late";
    return reply;
  };
  Start();
  RawClient sent_all(port());
  sent_all.SendRequest("GET /");
  sent_all.EndSending();
  const std::string reply = sent_all.ReadToEnd();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_THAT(reply, HasSubstr("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, EndsWith("late"));
  EXPECT_EQ(gone, 0);
  RawClient(port()).SendRequest("GET /");  // and closes
  EXPECT_TRUE(Eventually([&] { return gone == 1; }));
}

// Whoever reads a stream must be able to tell that it was cut off from that it is whole.
TEST_F(HttpServerTest, AStreamThatIsAbortedDoesNotEnd) {
  handler_ = [](const HttpRequest&) {
    HttpReply reply;
    reply.next = [first = true]() mutable {
      const auto then = first ? BodyPart::Then::kMore : BodyPart::Then::kAbort;
      return BodyPart{std::exchange(first, false) ? "begun" : "", then};
    };
    return reply;
  };
  Start();
  RawClient client(port());
  client.SendRequest("GET /livez");
  const std::string reply = client.ReadToEnd();
  EXPECT_THAT(reply, EndsWith("begun\r\n"));
  EXPECT_THAT(reply, Not(HasSubstr("\r\n0\r\n")));
}

}  // namespace
}  // namespace lockstep
