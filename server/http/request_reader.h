// Reads HTTP/1 requests from bytes as they come, and refuses those that are malformed, ambiguous or
// too large before anything else sees them: a body that two readers could measure differently, a
// header without end, a chunked body that grows past the limit. Knows no sockets and no clock. One
// connection's, used by one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "server/http/http_types.h"

namespace lockstep {

struct RequestLimits {
  size_t line = 8 * 1024 - 2;  // bytes of the request line, and of each header line, without CRLF
  size_t headers = 100;
  size_t header_bytes = 32 * 1024;                // of all headers
  size_t body = 16 * 1024 * 1024;                 // after chunked decoding
  std::chrono::milliseconds header_time{10'000};  // for the whole head; kept by the poller
  std::chrono::milliseconds body_time{30'000};    // for the whole body; kept by the poller
};

struct RawRequest {
  std::string method;
  std::string target;  // origin form: "/path?query"
  // The host of a target in absolute form, which binds (RFC 9112, 3.2.2), or that of Host.
  std::string host;
  bool http_1_0 = false;
  bool keep_alive = true;
  HttpHeaders headers;
  std::string body;
};

// The connection is to be closed after the answer.
struct ReadError {
  int status;
  std::string message;
};

// A string that an empty one is assigned to would keep its memory.
inline void FreeMemory(std::string& text) { std::string().swap(text); }

class RequestReader {
 public:
  // kIdle: nothing of a request has come. kWhole lasts until Next(), kRefused for good.
  enum class State { kIdle, kHead, kBody, kWhole, kRefused };

  explicit RequestReader(const RequestLimits& limits) : limits_(limits) {}

  State state() const;
  // Reads on. REQUIRES: neither kWhole nor kRefused.
  void Feed(std::string_view bytes);
  // Ends the request for a reason that its bytes do not tell: the client is too slow, has gone, or
  // is one too many. Forgets the body.
  void Refuse(ReadError error);
  // Takes the request without its body, of which it forgets what has come: the connection is to be
  // closed after the answer. REQUIRES: kBody.
  void LeaveBody();
  // Begins the next request, of which a part or all may have come already. REQUIRES: kWhole.
  void Next();

  const RawRequest& request() const { return request_; }  // complete if kWhole
  const ReadError& error() const { return error_; }       // why it is kRefused
  // About how much memory the request takes.
  size_t bytes() const { return header_bytes_ + request_.body.capacity() + buffer_.capacity(); }
  // The same once it is whole, as far as its head tells.
  size_t bytes_when_whole() const {
    return header_bytes_ + std::max(request_.body.capacity(), whole_body_);
  }
  // The body, which request() has no more. REQUIRES: kWhole.
  std::string TakeBody() { return std::move(request_.body); }
  // True once for each request whose head has come, and whose body has not come whole with it.
  bool TakeHead();
  // True once if the client wants to be told to send its body (Expect: 100-continue).
  bool TakeContinue();

 private:
  enum class Step {
    kRequestLine,
    kHeaders,
    kBody,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailers,
    kWhole,
    kRefused
  };
  // Each step's: false if it needs more bytes than have come.
  using Progress = tl::expected<bool, ReadError>;

  void Advance();
  Progress TakeStep();
  // The next line without its CRLF; valid until the next Feed. A longer one is `too_long`.
  Progress TakeLine(size_t max, int too_long, std::string_view& line);
  Progress TakeRequestLine();
  Progress TakeHeader();
  Progress EndHead();
  Progress TakeBody(Step then);  // body_left_ bytes
  Progress TakeChunkSize();
  Progress TakeChunkEnd();
  Progress TakeTrailer();

  const RequestLimits limits_;
  std::string buffer_;  // bytes from begin_ on are not yet used
  size_t begin_ = 0;
  size_t searched_ = 0;  // bytes from begin_ on that have no line feed

  Step step_ = Step::kRequestLine;
  bool skipped_line_ = false;  // an empty one before the request
  size_t header_bytes_ = 0, trailers_ = 0, body_left_ = 0;
  size_t whole_body_ = 0;  // the Content-Length; 0: none
  bool wants_continue_ = false;
  bool head_is_new_ = false;
  RawRequest request_;
  ReadError error_{};
};

}  // namespace lockstep
