#include "server/http/request_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/server/http/raw_client.h"

namespace lockstep {
namespace {

constexpr size_t kPieces[] = {1, 7, 1 << 20};

using State = RequestReader::State;

// Feeds bytes in pieces until the reader wants no more of them: the rest.
std::string_view Feed(RequestReader& reader, std::string_view bytes, size_t piece) {
  while (!bytes.empty() && reader.state() != State::kWhole && reader.state() != State::kRefused) {
    reader.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return bytes;
}

TEST(RequestReader, TakesALaterMinorVersionForItsOwn) {
  for (const char* const version : {"1.2", "1.9"}) {
    RequestReader reader({});
    reader.Feed(Http(std::string("GET / HTTP/") + version + "\nHost: h\n\n"));
    ASSERT_EQ(reader.state(), State::kWhole) << reader.error().message;
    EXPECT_TRUE(reader.request().keep_alive);
    EXPECT_FALSE(reader.request().http_1_0);
  }
}

TEST(RequestReader, ReadsRequestsOneAfterTheOther) {
  const std::string bytes =
      Http("\nPOST /generate?x=1 HTTP/1.1\nHost: h\nContent-Length: 5\nX-A:  b \n\n") + "hello" +
      Http(
          "POST /b HTTP/1.1\nHost: h\nTransfer-Encoding: Chunked\n\n"
          "3;name=value\nabc\n0A\n0123456789\n0\nTrailer: x\n\n") +
      Http("GET http://host:1/c HTTP/1.1\nHost: h\nConnection: x, Close\n\n") +
      Http("GET / HTTP/1.0\n\n");
  for (const size_t piece : kPieces) {
    RequestReader reader({});
    EXPECT_EQ(reader.state(), State::kIdle);
    std::string_view rest = Feed(reader, bytes, piece);
    ASSERT_EQ(reader.state(), State::kWhole) << reader.error().message;
    EXPECT_EQ(reader.request().method, "POST");
    EXPECT_EQ(reader.request().target, "/generate?x=1");
    EXPECT_EQ(reader.request().body, "hello");
    EXPECT_EQ(FindHeader(reader.request().headers, "x-a"), "b");
    EXPECT_TRUE(reader.request().keep_alive);
    reader.Next();
    rest = Feed(reader, rest, piece);
    ASSERT_EQ(reader.state(), State::kWhole) << reader.error().message;
    EXPECT_EQ(reader.request().body, "abc0123456789");
    reader.Next();
    rest = Feed(reader, rest, piece);
    ASSERT_EQ(reader.state(), State::kWhole) << reader.error().message;
    EXPECT_EQ(reader.request().target, "/c");
    EXPECT_FALSE(reader.request().keep_alive);
    reader.Next();
    rest = Feed(reader, rest, piece);
    ASSERT_EQ(reader.state(), State::kWhole) << reader.error().message;
    EXPECT_TRUE(reader.request().http_1_0);
    EXPECT_FALSE(reader.request().keep_alive);
    reader.Next();
    EXPECT_EQ(reader.state(), State::kIdle);
    EXPECT_EQ(rest, "");
  }
}

// A proxy sends a whole address, whose host binds: who checks Host must not be told another one.
TEST(RequestReader, AnAbsoluteTargetSaysTheHost) {
  struct Case {
    std::string_view line, target, host;
  };
  for (const Case& c : {Case{"http://a.example:80/b?c=/d", "/b?c=/d", "a.example:80"},
                        Case{"HTTPS://a.example/", "/", "a.example"},
                        Case{"http://a.example?b", "/?b", "a.example"},
                        Case{"https://[::1]:8080", "/", "[::1]:8080"},
                        Case{"/http://a.example/", "/http://a.example/", "h"}}) {
    for (const std::string_view version : {"1.0", "1.1"}) {
      RequestReader reader({});
      reader.Feed(Http(fmt::format("GET {} HTTP/{}\nhost: h\n\n", c.line, version)));
      ASSERT_EQ(reader.state(), State::kWhole) << reader.error().message;
      EXPECT_EQ(reader.request().target, c.target);
      EXPECT_EQ(reader.request().host, c.host);
    }
  }
  RequestReader no_header({});
  no_header.Feed(Http("GET http://a.example/ HTTP/1.0\n\n"));
  EXPECT_EQ(no_header.request().host, "a.example");
  for (const std::string_view line :
       {"http://", "http:///b", "http://?b", "ftp://a/b", "https:/a", "http"}) {
    RequestReader reader({});
    reader.Feed(Http(fmt::format("GET {} HTTP/1.1\nHost: h\n\n", line)));
    ASSERT_EQ(reader.state(), State::kRefused) << line;
    EXPECT_EQ(reader.error().status, 400);
  }
}

// A list may be spread over several lines of its name.
TEST(RequestReader, AnyLineOfConnectionCanEndIt) {
  const std::pair<const char*, bool> cases[] = {
      {"Connection: keep-alive\nConnection: close\n", false},
      {"Connection: close\nConnection: keep-alive\n", false},
      {"Connection: keep-alive, Upgrade\nConnection: TE\nconnection: x , CLOSE\n", false},
      {"Connection: keep-alive\nConnection: closed\n", true},
      {"X-Connection: close\n", true},
  };
  for (const auto& [lines, keep_alive] : cases) {
    RequestReader reader({});
    reader.Feed(Http(std::string("GET / HTTP/1.1\nHost: h\n") + lines + "\n"));
    ASSERT_EQ(reader.state(), State::kWhole);
    EXPECT_EQ(reader.request().keep_alive, keep_alive) << lines;
  }
}

TEST(RequestReader, TellsHowFarItIs) {
  RequestReader reader({});
  const std::pair<std::string, State> steps[] = {
      {"", State::kIdle},
      {"\r\n", State::kHead},
      {"GET", State::kHead},
      {" / HTTP/1.1\r\nHost: h\r\n", State::kHead},
      {"Content-Length: 2\r\n\r\n", State::kBody},
      {"a", State::kBody},
      {"bG", State::kWhole},
  };
  for (const auto& [bytes, state] : steps) {
    reader.Feed(bytes);
    EXPECT_EQ(reader.state(), state) << bytes;
  }
  EXPECT_EQ(reader.request().body, "ab");
  reader.Next();
  EXPECT_EQ(reader.state(), State::kHead);
  reader.Refuse({408, "too slow"});
  EXPECT_EQ(reader.state(), State::kRefused);
  EXPECT_EQ(reader.error().status, 408);
}

TEST(RequestReader, RefusesWhatIsMalformed) {
  const std::string get = "GET / HTTP/1.1\nHost: h\n", post = "POST / HTTP/1.1\nHost: h\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\n\n";
  std::string many_headers;
  for (int i = 0; i < 101; ++i) many_headers += "X: y\n";
  std::string long_headers;
  for (int i = 0; i < 5; ++i) long_headers += "X: " + std::string(8000, 'y') + "\n";
  const struct {
    const char* what;
    std::string bytes;
    int status;
  } cases[] = {
      {"garbage", "\x01\x02\x03", 400},
      {"garbage line", Http("hello\n\n"), 400},
      {"TLS hello", "\x16\x03\x01\x02", 400},
      {"version 9.9", Http("GET / HTTP/9.9\n\n"), 505},
      {"version 2.0", Http("PRI * HTTP/2.0\n\nSM\n\n"), 505},
      {"version 0.9", Http("GET / HTTP/0.9\nHost: h\n\n"), 505},
      {"version 1.x", Http("GET / HTTP/1.x\nHost: h\n\n"), 400},
      {"version a.1", Http("GET / HTTP/a.1\nHost: h\n\n"), 400},
      {"version 1.2, two hosts", Http("GET / HTTP/1.2\nHost: h\nHost: g\n\n"), 400},
      {"no version", Http("GET /\n\n"), 400},
      {"unknown method", Http("BREW / HTTP/1.1\nHost: h\n\n"), 501},
      {"space in target", Http("GET /a b HTTP/1.1\nHost: h\n\n"), 400},
      {"relative target", Http("GET a HTTP/1.1\nHost: h\n\n"), 400},
      {"NUL in target", std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28), 400},
      {"long target", Http("GET /" + std::string(8200, 'a') + " HTTP/1.1\n\n"), 414},
      {"endless target", "GET /" + std::string(100'000, 'a'), 414},
      {"long header", Http(get + "X: " + std::string(8200, 'a') + "\n\n"), 431},
      {"101 headers", Http(get + many_headers + "\n"), 431},
      {"40 KiB of headers", Http(get + long_headers + "\n"), 431},
      {"no Host", Http("GET / HTTP/1.1\n\n"), 400},
      {"two Hosts", Http(get + "Host: h\n\n"), 400},
      {"bare LF", "GET / HTTP/1.1\nHost: h\n\n", 400},
      {"folded header", Http(get + "X: a\n b\n\n"), 400},
      {"space before colon", Http(get + "X : a\n\n"), 400},
      {"header without colon", Http(get + "X\n\n"), 400},
      {"CR in header", Http(get) + "X: a\rb\r\n\r\n", 400},
      {"NUL in header", Http(get) + std::string("X: a\0b\r\n\r\n", 10), 400},
      {"no length", Http(post + "\n"), 411},
      {"length and chunks", Http(post + "Content-Length: 1\nTransfer-Encoding: chunked\n\n"), 400},
      {"two lengths", Http(post + "Content-Length: 1\nContent-Length: 2\n\nab"), 400},
      {"length -1", Http(post + "Content-Length: -1\n\n"), 400},
      {"length +1", Http(post + "Content-Length: +1\n\na"), 400},
      {"length abc", Http(post + "Content-Length: abc\n\n"), 400},
      {"length 2^64", Http(post + "Content-Length: 18446744073709551616\n\n"), 400},
      {"empty length", Http(post + "Content-Length:\n\n"), 400},
      {"over the limit", Http(post + "Content-Length: 16777217\n\n"), 413},
      {"gzip", Http(post + "Content-Encoding: gzip\nContent-Length: 1\n\na"), 415},
      {"unknown coding", Http(post + "Transfer-Encoding: gzip, chunked\n\n"), 501},
      {"chunks in 1.0", Http("POST / HTTP/1.0\nTransfer-Encoding: chunked\n\n0\n\n"), 400},
      {"expectation", Http(post + "Expect: coffee\nContent-Length: 1\n\na"), 417},
      {"chunk size -2", Http(chunked + "-2\nab\n0\n\n"), 400},
      {"chunk size zz", Http(chunked + "zz\nab\n0\n\n"), 400},
      {"chunk size 0x2", Http(chunked + "0x2\nab\n0\n\n"), 400},
      {"17 hex digits", Http(chunked + "00000000000000001\na\n0\n\n"), 400},
      {"chunk too large", Http(chunked + "ffffffff\n"), 413},
      {"chunk longer than its size", Http(chunked + "2\nabc\n0\n\n"), 400},
      {"trailers without end", Http(chunked + "0\n" + many_headers + "\n"), 431},
  };
  for (const auto& c : cases) {
    for (const size_t piece : kPieces) {
      SCOPED_TRACE(c.what);
      RequestReader reader({});
      Feed(reader, c.bytes, piece);
      ASSERT_EQ(reader.state(), State::kRefused);
      EXPECT_EQ(reader.error().status, c.status) << reader.error().message;
      EXPECT_NE(reader.error().message, "");
    }
  }
}

TEST(RequestReader, StopsReadingAtTheLimit) {
  std::string chunks = Http("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n");
  for (int i = 0; i < 64; ++i) chunks += "10000\r\n" + std::string(65536, 'x') + "\r\n";
  RequestReader reader({.body = 1 << 20});
  const std::string_view rest = Feed(reader, chunks, 4096);
  ASSERT_EQ(reader.state(), State::kRefused);
  EXPECT_EQ(reader.error().status, 413);
  EXPECT_THAT(reader.error().message, testing::HasSubstr("--max-body"));
  EXPECT_GT(rest.size(), chunks.size() - 1'200'000);

  RequestReader whole({.body = 1 << 20});
  Feed(whole,
       Http("POST / HTTP/1.1\nHost: h\nContent-Length: 1048576\n\n") + std::string(1 << 20, 'x'),
       1 << 20);
  ASSERT_EQ(whole.state(), State::kWhole);
  EXPECT_EQ(whole.request().body.size(), size_t{1} << 20);
}

TEST(RequestReader, AHeadIsTakenOnceAndItsBodyMayBeLeft) {
  const std::string head = Http("POST /a HTTP/1.1\nHost: h\nExpect: 100-continue\n");
  for (const char* framing :
       {"Content-Length: 5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n"}) {
    SCOPED_TRACE(framing);
    RequestReader reader({});
    reader.Feed(head);
    EXPECT_FALSE(reader.TakeHead());  // its end has not come
    reader.Feed(framing);
    EXPECT_TRUE(reader.TakeHead());
    EXPECT_FALSE(reader.TakeHead());  // once
    reader.Feed("ab");
    EXPECT_FALSE(reader.TakeHead());
    reader.LeaveBody();
    EXPECT_EQ(reader.state(), State::kWhole);
    EXPECT_EQ(reader.request().target, "/a");
    EXPECT_EQ(reader.request().body, "");
    EXPECT_FALSE(reader.request().keep_alive);
    EXPECT_FALSE(reader.TakeContinue());
  }
  RequestReader whole({});
  whole.Feed(Http("POST / HTTP/1.1\nHost: h\nContent-Length: 2\n\nabGET / HTTP/1.1\nHost: h\n\n"));
  EXPECT_FALSE(whole.TakeHead());  // nothing is saved any more
  whole.Next();
  EXPECT_FALSE(whole.TakeHead());
}

TEST(RequestReader, AsksForTheBodyOnlyWhereItWillBeRead) {
  const std::string head = Http("POST / HTTP/1.1\nHost: h\nExpect: 100-continue\n");
  RequestReader wanted({});
  wanted.Feed(head);
  EXPECT_FALSE(wanted.TakeContinue());
  wanted.Feed("Content-Length: 2\r\n\r\n");
  EXPECT_TRUE(wanted.TakeContinue());
  EXPECT_FALSE(wanted.TakeContinue());  // once
  wanted.Feed("ab");
  EXPECT_EQ(wanted.request().body, "ab");

  RequestReader sent({});
  sent.Feed(head + "Content-Length: 2\r\n\r\na");
  EXPECT_FALSE(sent.TakeContinue());

  RequestReader refused({});
  refused.Feed(head + "Content-Length: 99999999\r\n\r\n");
  EXPECT_EQ(refused.error().status, 413);
  EXPECT_FALSE(refused.TakeContinue());
}

}  // namespace
}  // namespace lockstep
