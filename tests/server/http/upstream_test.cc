#include "server/http/upstream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "server/http/http_server.h"
#include "server/http/listener.h"

namespace lockstep {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;
using Then = BodyPart::Then;

bool Stays() { return false; }

// Our own server, with a handler of the test's.
std::unique_ptr<HttpServer> Serve(HttpHandler handler) {
  HttpServerOptions options;
  options.port = 0;
  return HttpServer::Start(options, std::move(handler)).value();
}

// A server that answers its first connection with these bytes, and closes it.
class Bytes {
 public:
  explicit Bytes(std::string bytes)
      : listener_(Listen("127.0.0.1", 0).value()), thread_([this, bytes = std::move(bytes)] {
          int socket = -1;
          while ((socket = accept(listener_.socket, nullptr, nullptr)) < 0) usleep(1000);
          char request[4096];
          (void)recv(socket, request, sizeof request, 0);
          (void)send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
          close(socket);
        }) {}
  ~Bytes() {
    thread_.join();
    close(listener_.socket);
  }
  int port() const { return listener_.port; }

 private:
  const Listener listener_;
  std::thread thread_;
};

std::string Whole(HttpReply& reply, Then* last) {
  std::string body;
  for (;;) {
    BodyPart part = reply.next();
    body += part.data;
    *last = part.then;
    if (part.then != Then::kMore) return body;
  }
}

TEST(Upstream, ARequestArrivesAndItsReplyComesBack) {
  HttpRequest seen;
  const auto server = Serve([&seen](const HttpRequest& request) {
    seen = request;
    HttpReply reply;
    reply.status = 429;
    reply.content_type = "text/plain";
    reply.headers = {{"Retry-After", "7"}, {"x-own", "1"}};
    reply.body = std::string(300'000, 'x');
    return reply;
  });
  const std::string body(200'000, 'y');
  const auto reply = AskUpstream(
      server->port(), {"POST", "/v1/x%20y?a=b", {{"Authorization", "Bearer k"}}, body}, Stays);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(seen.path, "/v1/x y");
  EXPECT_EQ(seen.query, "a=b");
  EXPECT_EQ(seen.body, body);
  EXPECT_EQ(FindHeader(seen.headers, "authorization"), "Bearer k");
  EXPECT_EQ(reply->status, 429);
  EXPECT_EQ(reply->content_type, "text/plain");
  EXPECT_EQ(reply->body, std::string(300'000, 'x'));
  EXPECT_THAT(reply->headers, Contains(Pair("Retry-After", "7")));
  for (const char* name : {"Date", "Connection", "Content-Length", "X-Request-Id"}) {
    EXPECT_THAT(reply->headers, Not(Contains(Key(name))));
  }
}

TEST(Upstream, AStreamIsReadAsItComes) {
  std::atomic<int> made = 0;
  const auto server = Serve([&made](const HttpRequest&) {
    HttpReply reply;
    reply.next = [&made, i = 0]() mutable {
      made = ++i;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return BodyPart{"event " + std::to_string(i) + "\n", i == 5 ? Then::kLast : Then::kMore};
    };
    return reply;
  });
  auto reply = AskUpstream(server->port(), {"GET", "/", {}, {}}, Stays);
  ASSERT_TRUE(reply && reply->next);
  EXPECT_THAT(reply->next().data, HasSubstr("event 1\n"));
  EXPECT_LT(made, 5);
  Then last = Then::kMore;
  EXPECT_THAT(Whole(*reply, &last), HasSubstr("event 5\n"));
  EXPECT_EQ(last, Then::kLast);
}

TEST(Upstream, AClientThatHasGoneEndsTheRequest) {
  std::atomic<bool> cancelled = false;
  const auto server = Serve([&cancelled](const HttpRequest& request) {
    while (!request.client_gone()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    cancelled = true;
    return HttpReply();
  });
  std::atomic<bool> gone = false;
  std::thread leaves([&gone] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    gone = true;
  });
  const auto reply =
      AskUpstream(server->port(), {"GET", "/", {}, {}}, [&gone] { return gone.load(); });
  leaves.join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kCancelled);
  for (int i = 0; i < 1000 && !cancelled; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(cancelled);
}

TEST(Upstream, WhatBreaksOffIsSeen) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::pair<std::string, std::string> streams[] = {{"3\r\nabc\r\n", "abc"},
                                                         {"3\r\nab", "ab"},
                                                         {"", ""},
                                                         {"3\r\nabcd\r\n", "abc"},
                                                         {"x\r\n", ""}};
  for (const auto& [bytes, body] : streams) {
    const Bytes server(head + bytes);
    auto reply = AskUpstream(server.port(), {"GET", "/", {}, {}}, Stays);
    ASSERT_TRUE(reply && reply->next);
    Then last = Then::kMore;
    EXPECT_EQ(Whole(*reply, &last), body) << bytes;
    EXPECT_EQ(last, Then::kAbort) << bytes;
  }
  for (const char* bytes : {"", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"}) {
    const Bytes server(bytes);
    const auto reply = AskUpstream(server.port(), {"GET", "/", {}, {}}, Stays);
    ASSERT_FALSE(reply) << bytes;
    EXPECT_EQ(reply.error().kind, ErrorKind::kUnavailable);
  }
}

TEST(Upstream, ChunksWithTrailersAndBodiesWithoutALengthEnd) {
  {
    const Bytes server(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1;x=y\r\na\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n");
    auto reply = AskUpstream(server.port(), {"GET", "/", {}, {}}, Stays);
    ASSERT_TRUE(reply && reply->next);
    Then last = Then::kMore;
    EXPECT_EQ(Whole(*reply, &last), "a0123456789");
    EXPECT_EQ(last, Then::kLast);
  }
  const Bytes server("HTTP/1.1 200 OK\r\n\r\nto the end");
  const auto reply = AskUpstream(server.port(), {"GET", "/", {}, {}}, Stays);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "to the end");
}

TEST(Upstream, WhereNobodyListensItIsUnavailable) {
  const Listener listener = Listen("127.0.0.1", 0).value();
  close(listener.socket);
  const auto reply = AskUpstream(listener.port, {"GET", "/", {}, {}}, Stays);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kUnavailable);
}

TEST(Upstream, HeadersOfTheConnectionStay) {
  const HttpHeaders kept = EndToEndHeaders({{"Host", "x"},
                                            {"connection", "close"},
                                            {"Content-Length", "3"},
                                            {"Last-Event-ID", "7"},
                                            {"transfer-encoding", "chunked"}});
  EXPECT_EQ(kept, (HttpHeaders{{"Last-Event-ID", "7"}}));
}

}  // namespace
}  // namespace lockstep
