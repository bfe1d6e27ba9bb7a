// A state machine over lines and counted bytes, which takes what has come and keeps the rest: each
// Take... is one step of it, and says whether there was enough. So a request reads the same whether
// it comes in one piece or in single bytes, e.g. for a chunked body:
//
//   kRequestLine  kHeaders   kChunkSize  kChunk   kChunkEnd  kChunkSize  kTrailers  kWhole
//   "POST / ..."  "Host: h"  "5"         "hello"  CRLF       "0"         CRLF
//
// Two servers in a row that read one stream of bytes differently can be made to take one client's
// bytes for another's request (request smuggling). Therefore what RFC 9112 leaves to a server's
// leniency is an error here: bare line feeds, folded lines, two lengths, a length beside chunks.
#include "server/http/request_reader.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace lockstep {
namespace {

template <class T>
using Expected = tl::expected<T, ReadError>;

tl::unexpected<ReadError> Fail(int status, std::string message) {
  return tl::unexpected(ReadError{status, std::move(message)});
}

tl::unexpected<ReadError> TooLarge(size_t max_body) {
  return Fail(413, "the body has more than " + std::to_string(max_body) +
                       " bytes; --max-body of the server raises the limit");
}

template <class T>
tl::unexpected<ReadError> Passed(const Expected<T>& failed) {
  return tl::unexpected(failed.error());
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenCharacter);
}

bool HasControls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

// Whether the comma-separated list of a header has this word. A list may be spread over several
// lines of that name, which mean the same as one line with commas (RFC 9110, 5.3).
bool ListHas(const HttpHeaders& headers, std::string_view name, std::string_view word) {
  for (const auto& [key, value] : headers) {
    if (!EqualsNoCase(key, name)) continue;
    for (std::string_view list = value; !list.empty();) {
      const size_t comma = std::min(list.find(','), list.size());
      if (EqualsNoCase(TrimSpaces(list.substr(0, comma)), word)) return true;
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  return false;
}

size_t Count(const HttpHeaders& headers, std::string_view name) {
  return static_cast<size_t>(std::count_if(
      headers.begin(), headers.end(), [&](const auto& h) { return EqualsNoCase(h.first, name); }));
}

// The absolute form, "http://host/path?query", which proxies send, becomes the origin form.
Expected<void> TakeHost(std::string& target, std::string& host) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!EqualsNoCase(std::string_view(target).substr(0, scheme.size()), scheme)) continue;
    target.erase(0, scheme.size());
    host = target.substr(0, target.find_first_of("/?"));
    if (host.empty()) return Fail(400, "the request's target names no host");
    target.erase(0, host.size());
    if (!target.starts_with('/')) target.insert(0, "/");
    break;
  }
  return {};
}

Expected<void> ParseRequestLine(std::string_view line, RawRequest& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == line.npos || first == last) {
    return Fail(400, "the first line is not an HTTP request line");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view version = line.substr(last + 1);
  std::string target(line.substr(first + 1, last - first - 1));
  if (!IsToken(method) || HasControls(target) || target.find(' ') != target.npos) {
    return Fail(400, "the first line is not an HTTP request line");
  }
  const auto is_digit = [version](size_t at) { return version[at] >= '0' && version[at] <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.' || !is_digit(5) ||
      !is_digit(7)) {
    return Fail(400, "the first line is not an HTTP request line");
  }
  // A later minor version is spoken by whoever speaks an earlier one (RFC 9110, 2.5).
  if (version[5] != '1') return Fail(505, "the server speaks HTTP/1.1 and HTTP/1.0");
  // All that RFC 9110 has: a route says 405 to what it does not take.
  constexpr std::string_view kMethods[] = {"GET",   "HEAD",    "POST",  "PUT",    "DELETE",
                                           "PATCH", "OPTIONS", "TRACE", "CONNECT"};
  if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods)) {
    return Fail(501, "the server does not know this method");
  }
  if (auto taken = TakeHost(target, request.host); !taken) return Passed(taken);
  if (target.empty() || (target[0] != '/' && target != "*")) {
    return Fail(400, "the request's path must begin with /");
  }
  request.method = method;
  request.target = std::move(target);
  request.http_1_0 = version == "HTTP/1.0";
  return {};
}

Expected<void> ParseHeader(std::string_view line, HttpHeaders& headers) {
  const size_t colon = line.find(':');
  if (colon == line.npos || !IsToken(line.substr(0, colon)) || HasControls(line)) {
    return Fail(400, "a header line is malformed");
  }
  headers.emplace_back(line.substr(0, colon), TrimSpaces(line.substr(colon + 1)));
  return {};
}

// How the body is measured. Whatever two readers could understand differently is refused.
struct Framing {
  bool chunked = false;
  size_t length = 0;
};

Expected<Framing> ReadFraming(const RawRequest& request, size_t max_body) {
  Framing framing;
  const HttpHeaders& headers = request.headers;
  const size_t lengths = Count(headers, "Content-Length");
  if (Count(headers, "Transfer-Encoding") > 0) {
    if (lengths > 0) return Fail(400, "Content-Length and Transfer-Encoding exclude each other");
    if (request.http_1_0) return Fail(400, "HTTP/1.0 has no Transfer-Encoding");
    if (Count(headers, "Transfer-Encoding") > 1 ||
        !EqualsNoCase(FindHeader(headers, "Transfer-Encoding"), "chunked")) {
      return Fail(501, "the only Transfer-Encoding is chunked");
    }
    framing.chunked = true;
    return framing;
  }
  if (lengths == 0) {
    if (request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
      return Fail(411, "the request has no Content-Length");
    }
    return framing;
  }
  const std::string_view text = FindHeader(headers, "Content-Length");
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (lengths > 1 || error != std::errc() || end != text.data() + text.size()) {
    return Fail(400, "Content-Length must be one number");
  }
  if (length > max_body) {
    return TooLarge(max_body);
  }
  framing.length = length;
  return framing;
}

Expected<void> CheckHeaders(RawRequest& request) {
  const HttpHeaders& headers = request.headers;
  if (!request.http_1_0 && Count(headers, "Host") != 1) {
    return Fail(400, "the request must have one Host header");
  }
  if (request.host.empty()) request.host = FindHeader(headers, "Host");
  const std::string_view coding = FindHeader(headers, "Content-Encoding");
  if (!coding.empty() && !EqualsNoCase(coding, "identity")) {
    return Fail(415, "the server takes no compressed bodies: leave Content-Encoding out");
  }
  const std::string_view expect = FindHeader(headers, "Expect");
  if (!expect.empty() && !EqualsNoCase(expect, "100-continue")) {
    return Fail(417, "the only expectation is 100-continue");
  }
  request.keep_alive = !request.http_1_0 && !ListHas(headers, "Connection", "close");
  return {};
}

}  // namespace

RequestReader::State RequestReader::state() const {
  switch (step_) {
    case Step::kRequestLine:
      return skipped_line_ || begin_ < buffer_.size() ? State::kHead : State::kIdle;
    case Step::kHeaders:
      return State::kHead;
    case Step::kWhole:
      return State::kWhole;
    case Step::kRefused:
      return State::kRefused;
    default:
      return State::kBody;
  }
}

void RequestReader::Feed(std::string_view bytes) {
  buffer_.erase(0, begin_);  // leaves less than a line
  begin_ = 0;
  buffer_.append(bytes);
  Advance();
}

void RequestReader::Refuse(ReadError error) {
  error_ = std::move(error);
  step_ = Step::kRefused;
  FreeMemory(request_.body);
  FreeMemory(buffer_);
  begin_ = 0;
}

void RequestReader::LeaveBody() {
  step_ = Step::kWhole;
  request_.keep_alive = false;
  wants_continue_ = false;
  FreeMemory(request_.body);
  FreeMemory(buffer_);
  begin_ = 0;
}

void RequestReader::Next() {
  FreeMemory(request_.body);
  request_ = {};
  step_ = Step::kRequestLine;
  skipped_line_ = wants_continue_ = head_is_new_ = false;
  header_bytes_ = trailers_ = whole_body_ = 0;
  Advance();
}

bool RequestReader::TakeHead() {
  return std::exchange(head_is_new_, false) && state() == State::kBody;
}

bool RequestReader::TakeContinue() { return std::exchange(wants_continue_, false); }

void RequestReader::Advance() {
  for (;;) {
    const Progress progress = TakeStep();
    if (!progress) return Refuse(progress.error());
    if (!*progress) return;
  }
}

RequestReader::Progress RequestReader::TakeStep() {
  switch (step_) {
    case Step::kRequestLine:
      return TakeRequestLine();
    case Step::kHeaders:
      return TakeHeader();
    case Step::kBody:
      return TakeBody(Step::kWhole);
    case Step::kChunkSize:
      return TakeChunkSize();
    case Step::kChunk:
      return TakeBody(Step::kChunkEnd);
    case Step::kChunkEnd:
      return TakeChunkEnd();
    case Step::kTrailers:
      return TakeTrailer();
    case Step::kWhole:
    case Step::kRefused:
      break;
  }
  return false;
}

RequestReader::Progress RequestReader::TakeLine(size_t max, int too_long, std::string_view& line) {
  const size_t end = buffer_.find('\n', begin_ + searched_);
  const size_t length = std::min(end, buffer_.size()) - begin_;
  if (length > max + 1) {
    return Fail(too_long, "a line of the request has more than " + std::to_string(max) + " bytes");
  }
  if (end == buffer_.npos) {
    searched_ = length;
    return false;
  }
  searched_ = 0;
  if (length == 0 || buffer_[end - 1] != '\r') {
    return Fail(400, "a line of the request does not end with CR LF");
  }
  line = std::string_view(buffer_).substr(begin_, length - 1);
  begin_ = end + 1;
  return true;
}

RequestReader::Progress RequestReader::TakeRequestLine() {
  if (begin_ == buffer_.size()) return false;
  // Anything but HTTP, TLS for one, may never send the end of a line.
  if (!IsToken({buffer_.data() + begin_, 1}) && buffer_[begin_] != '\r') {
    return Fail(400, "this is not HTTP; the server speaks plain HTTP/1.1");
  }
  std::string_view line;
  if (auto taken = TakeLine(limits_.line, 414, line); !taken || !*taken) return taken;
  if (line.empty() && !skipped_line_) return skipped_line_ = true;  // RFC 9112, 2.2
  if (auto parsed = ParseRequestLine(line, request_); !parsed) return Passed(parsed);
  step_ = Step::kHeaders;
  return true;
}

RequestReader::Progress RequestReader::TakeHeader() {
  std::string_view line;
  if (auto taken = TakeLine(limits_.line, 431, line); !taken || !*taken) return taken;
  if (line.empty()) return EndHead();
  header_bytes_ += line.size() + 2;
  if (request_.headers.size() == limits_.headers || header_bytes_ > limits_.header_bytes) {
    return Fail(431, "the request has more than " + std::to_string(limits_.headers) +
                         " headers, or more than " + std::to_string(limits_.header_bytes) +
                         " bytes of them");
  }
  if (auto parsed = ParseHeader(line, request_.headers); !parsed) return Passed(parsed);
  return true;
}

RequestReader::Progress RequestReader::EndHead() {
  if (auto checked = CheckHeaders(request_); !checked) return Passed(checked);
  const auto framing = ReadFraming(request_, limits_.body);
  if (!framing) return Passed(framing);
  body_left_ = whole_body_ = framing->length;
  step_ = framing->chunked ? Step::kChunkSize : Step::kBody;
  head_is_new_ = true;
  const bool has_body = framing->chunked || framing->length > 0;
  const bool body_has_begun = begin_ < buffer_.size();
  wants_continue_ = has_body && !body_has_begun && !FindHeader(request_.headers, "Expect").empty();
  return true;
}

RequestReader::Progress RequestReader::TakeBody(Step then) {
  const size_t n = std::min(body_left_, buffer_.size() - begin_);
  // It grows as strings do, but not beyond what it will be: that much is counted. A string that
  // holds something would take twice its room at least.
  const size_t capacity = request_.body.capacity(), size = request_.body.size();
  if (whole_body_ > 0 && size + n > capacity) {
    std::string larger;
    larger.reserve(std::min(whole_body_, std::max(size + n, 2 * capacity)));
    request_.body = std::move(larger.append(request_.body));
  }
  request_.body.append(buffer_, begin_, n);
  begin_ += n;
  body_left_ -= n;
  if (body_left_ > 0) return false;
  step_ = then;
  return true;
}

// chunk = hex size, optional extension, CRLF, data, CRLF; the last one has size 0, then trailers
// and an empty line.
RequestReader::Progress RequestReader::TakeChunkSize() {
  std::string_view line;
  if (auto taken = TakeLine(limits_.line, 400, line); !taken || !*taken) return taken;
  const std::string_view digits = TrimSpaces(line.substr(0, line.find(';')));
  uint32_t size = 0;  // a longer number is an error of from_chars
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (digits.size() > 8 || error != std::errc() || end != digits.data() + digits.size()) {
    return Fail(400, "a chunk of the body has a malformed size");
  }
  if (size > limits_.body - request_.body.size()) {
    return TooLarge(limits_.body);
  }
  body_left_ = size;
  step_ = size == 0 ? Step::kTrailers : Step::kChunk;
  return true;
}

RequestReader::Progress RequestReader::TakeChunkEnd() {
  std::string_view line;
  if (auto taken = TakeLine(limits_.line, 400, line); !taken || !*taken) return taken;
  if (!line.empty()) return Fail(400, "a chunk of the body is longer than its size");
  step_ = Step::kChunkSize;
  return true;
}

RequestReader::Progress RequestReader::TakeTrailer() {
  std::string_view line;
  if (auto taken = TakeLine(limits_.line, 431, line); !taken || !*taken) return taken;
  if (line.empty()) {
    step_ = Step::kWhole;
  } else if (++trailers_ > limits_.headers) {
    return Fail(431, "the body has too many trailers");
  }
  return true;
}

}  // namespace lockstep
