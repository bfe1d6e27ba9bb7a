#include "server/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lockstep {
namespace {

// A client that sends these bytes in pieces, and then nothing, or the end.
class FakeSource : public ByteSource {
 public:
  FakeSource(std::string bytes, size_t piece, bool ends = false)
      : bytes_(std::move(bytes)), piece_(piece), ends_(ends) {}
  ssize_t Read(char* data, size_t size, Clock::time_point) override {
    const size_t n = bytes_.copy(data, std::min(size, piece_), used_);
    used_ += n;
    if (n > 0) return static_cast<ssize_t>(n);
    return ends_ ? kEnd : kTimedOut;
  }
  void SendContinue() override { ++continues; }

  int continues = 0;
  size_t used() const { return used_; }

 private:
  const std::string bytes_;
  const size_t piece_;
  const bool ends_;
  size_t used_ = 0;
};

constexpr size_t kPieces[] = {1, 7, 1 << 20};

// "\n" stands for CR LF.
std::string Http(const std::string& text) {
  std::string bytes;
  for (const char c : text) bytes += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return bytes;
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
    FakeSource source(bytes, piece, /*ends=*/true);
    RequestReader reader(source, {});
    auto request = reader.Next();
    ASSERT_TRUE(request.has_value()) << request.error().message;
    EXPECT_EQ(request->method, "POST");
    EXPECT_EQ(request->target, "/generate?x=1");
    EXPECT_EQ(request->body, "hello");
    EXPECT_EQ(FindHeader(request->headers, "x-a"), "b");
    EXPECT_TRUE(request->keep_alive);
    EXPECT_EQ(reader.Next()->body, "abc0123456789");
    request = reader.Next();
    EXPECT_EQ(request->target, "/c");
    EXPECT_FALSE(request->keep_alive);
    request = reader.Next();
    EXPECT_TRUE(request->http_1_0);
    EXPECT_FALSE(request->keep_alive);
    EXPECT_EQ(reader.Next().error().status, 0);
  }
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
      {"over the limit", Http(post + "Content-Length: 1048577\n\n"), 413},
      {"gzip", Http(post + "Content-Encoding: gzip\nContent-Length: 1\n\na"), 415},
      {"unknown coding", Http(post + "Transfer-Encoding: gzip, chunked\n\n"), 501},
      {"chunks in 1.0", Http("POST / HTTP/1.0\nTransfer-Encoding: chunked\n\n0\n\n"), 400},
      {"expectation", Http(post + "Expect: coffee\nContent-Length: 1\n\na"), 417},
      {"short body", Http(post + "Content-Length: 9\n\nabc"), 408},
      {"slow head", Http("GET / HTTP/1.1\nHos"), 408},
      {"chunk size -2", Http(chunked + "-2\nab\n0\n\n"), 400},
      {"chunk size zz", Http(chunked + "zz\nab\n0\n\n"), 400},
      {"chunk size 0x2", Http(chunked + "0x2\nab\n0\n\n"), 400},
      {"17 hex digits", Http(chunked + "00000000000000001\na\n0\n\n"), 400},
      {"chunk too large", Http(chunked + "ffffffff\n"), 413},
      {"chunk longer than its size", Http(chunked + "2\nabc\n0\n\n"), 400},
      {"no last chunk", Http(chunked + "2\nab\n"), 408},
      {"trailers without end", Http(chunked + "0\n" + many_headers + "\n"), 431},
  };
  for (const auto& c : cases) {
    for (const size_t piece : kPieces) {
      SCOPED_TRACE(c.what);
      FakeSource source(c.bytes, piece);
      const auto request = RequestReader(source, {}).Next();
      ASSERT_FALSE(request.has_value());
      EXPECT_EQ(request.error().status, c.status) << request.error().message;
      EXPECT_NE(request.error().message, "");
    }
  }
}

TEST(RequestReader, StopsReadingAtTheLimit) {
  std::string chunks = Http("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n");
  for (int i = 0; i < 64; ++i) chunks += "10000\r\n" + std::string(65536, 'x') + "\r\n";
  FakeSource source(chunks, 4096);
  EXPECT_EQ(RequestReader(source, {}).Next().error().status, 413);
  EXPECT_LT(source.used(), size_t{1'200'000});

  FakeSource whole(
      Http("POST / HTTP/1.1\nHost: h\nContent-Length: 1048576\n\n") + std::string(1 << 20, 'x'),
      1 << 20);
  EXPECT_EQ(RequestReader(whole, {}).Next()->body.size(), size_t{1} << 20);
}

TEST(RequestReader, AsksForTheBodyOnlyWhereItWillBeRead) {
  const std::string head = "POST / HTTP/1.1\nHost: h\nExpect: 100-continue\n";
  FakeSource wanted(Http(head + "Content-Length: 2\n\n") + "ab", Http(head).size() + 21);
  EXPECT_EQ(RequestReader(wanted, {}).Next()->body, "ab");
  EXPECT_EQ(wanted.continues, 1);
  FakeSource refused(Http(head + "Content-Length: 9999999\n\n"), 1 << 20);
  EXPECT_EQ(RequestReader(refused, {}).Next().error().status, 413);
  EXPECT_EQ(refused.continues, 0);
}

TEST(RequestReader, AClientThatEndsEarlyGetsNoAnswerOrA400) {
  const std::pair<std::string, int> cases[] = {
      {"", 0}, {"GET / HT", 400}, {Http("POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\na"), 400}};
  for (const auto& [bytes, status] : cases) {
    FakeSource source(bytes, 1 << 20, /*ends=*/true);
    EXPECT_EQ(RequestReader(source, {}).Next().error().status, status);
  }
}

}  // namespace
}  // namespace lockstep
