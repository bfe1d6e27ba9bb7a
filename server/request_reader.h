// Reads whole HTTP/1 requests from a connection and refuses those that are malformed, ambiguous,
// too large or too slow, before anything else sees them: a body that two readers could measure
// differently, a header without end, a chunked body that grows past the limit. One connection's,
// used by one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "server/api_types.h"

namespace lockstep {

struct RequestLimits {
  size_t line = 8 * 1024 - 2;  // bytes of the request line, and of each header line, without CRLF
  size_t headers = 100;
  size_t header_bytes = 32 * 1024;                // of all headers
  size_t body = 1024 * 1024;                      // after chunked decoding
  std::chrono::milliseconds header_time{10'000};  // for the whole head
  std::chrono::milliseconds body_time{30'000};    // for the whole body
};

// Where the bytes come from.
class ByteSource {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr ssize_t kEnd = 0;        // the peer sends no more, or the connection is broken
  static constexpr ssize_t kTimedOut = -1;  // nothing came before the deadline

  virtual ~ByteSource() = default;
  // Blocks until there is something: the number of bytes, kEnd or kTimedOut.
  virtual ssize_t Read(char* data, size_t size, Clock::time_point deadline) = 0;
  // Tells a client that asked (Expect: 100-continue) to send its body.
  virtual void SendContinue() = 0;
};

struct RawRequest {
  std::string method;
  std::string target;  // origin form: "/path?query"
  bool http_1_0 = false;
  bool keep_alive = true;
  HttpHeaders headers;
  std::string body;
};

// The connection is to be closed after it; status 0: without an answer, as nothing was asked.
struct ReadError {
  int status;
  std::string message;
};

class RequestReader {
 public:
  RequestReader(ByteSource& source, const RequestLimits& limits)
      : source_(source), limits_(limits) {}

  tl::expected<RawRequest, ReadError> Next();
  // Bytes of a further request are already here.
  bool HasBuffered() const { return begin_ < buffer_.size(); }

 private:
  using Clock = ByteSource::Clock;
  template <class T>
  using Expected = tl::expected<T, ReadError>;

  Expected<void> Fill(Clock::time_point deadline);
  // The next line without its CRLF; valid until the next call. A longer one is `too_long`.
  Expected<std::string_view> Line(size_t max, int too_long, Clock::time_point deadline);
  Expected<void> ReadHead(RawRequest& request, Clock::time_point deadline);
  Expected<void> ReadBody(RawRequest& request);
  Expected<void> Take(size_t n, std::string& to, Clock::time_point deadline);
  Expected<void> TakeChunks(std::string& to, Clock::time_point deadline);

  ByteSource& source_;
  const RequestLimits limits_;
  std::string buffer_;  // bytes from begin_ on are not yet used
  size_t begin_ = 0;
};

}  // namespace lockstep
