#include "server/request_reader.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace lockstep {
namespace {

template <class T>
using Expected = tl::expected<T, ReadError>;

tl::unexpected<ReadError> Refuse(int status, std::string message) {
  return tl::unexpected(ReadError{status, std::move(message)});
}

bool EqualsNoCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// RFC 9110's tchar.
bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  });
}

bool HasControls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Whether a comma-separated header value has this word.
bool HasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (EqualsNoCase(Trim(list.substr(0, comma)), word)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

size_t Count(const HttpHeaders& headers, std::string_view name) {
  return static_cast<size_t>(std::count_if(
      headers.begin(), headers.end(), [&](const auto& h) { return EqualsNoCase(h.first, name); }));
}

Expected<void> ParseRequestLine(std::string_view line, RawRequest& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == line.npos || first == last) {
    return Refuse(400, "the first line is not an HTTP request line");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view version = line.substr(last + 1);
  std::string_view target = line.substr(first + 1, last - first - 1);
  if (!IsToken(method) || HasControls(target) || target.find(' ') != target.npos) {
    return Refuse(400, "the first line is not an HTTP request line");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool other = version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.';
    return other ? Refuse(505, "the server speaks HTTP/1.1 and HTTP/1.0")
                 : Refuse(400, "the first line is not an HTTP request line");
  }
  constexpr std::string_view kMethods[] = {"GET",    "HEAD",  "POST",   "PUT",
                                           "DELETE", "PATCH", "OPTIONS"};
  if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods)) {
    return Refuse(501, "the server does not know this method");
  }
  if (target.starts_with("http://")) {  // the absolute form, which proxies send
    target.remove_prefix(std::min(target.find('/', 7), target.size()));
    if (target.empty()) target = "/";
  }
  if (target.empty() || (target[0] != '/' && target != "*")) {
    return Refuse(400, "the request's path must begin with /");
  }
  request.method = method;
  request.target = target;
  request.http_1_0 = version == "HTTP/1.0";
  return {};
}

Expected<void> ParseHeader(std::string_view line, HttpHeaders& headers) {
  const size_t colon = line.find(':');
  if (colon == line.npos || !IsToken(line.substr(0, colon)) || HasControls(line)) {
    return Refuse(400, "a header line is malformed");
  }
  headers.emplace_back(line.substr(0, colon), Trim(line.substr(colon + 1)));
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
    if (lengths > 0) return Refuse(400, "Content-Length and Transfer-Encoding exclude each other");
    if (request.http_1_0) return Refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    if (Count(headers, "Transfer-Encoding") > 1 ||
        !EqualsNoCase(FindHeader(headers, "Transfer-Encoding"), "chunked")) {
      return Refuse(501, "the only Transfer-Encoding is chunked");
    }
    framing.chunked = true;
    return framing;
  }
  if (lengths == 0) {
    if (request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
      return Refuse(411, "the request has no Content-Length");
    }
    return framing;
  }
  const std::string_view text = FindHeader(headers, "Content-Length");
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (lengths > 1 || error != std::errc() || end != text.data() + text.size()) {
    return Refuse(400, "Content-Length must be one number");
  }
  if (length > max_body) {
    return Refuse(413, "the body has more than " + std::to_string(max_body) + " bytes");
  }
  framing.length = length;
  return framing;
}

Expected<void> CheckHeaders(RawRequest& request) {
  const HttpHeaders& headers = request.headers;
  if (!request.http_1_0 && Count(headers, "Host") != 1) {
    return Refuse(400, "the request must have one Host header");
  }
  const std::string_view coding = FindHeader(headers, "Content-Encoding");
  if (!coding.empty() && !EqualsNoCase(coding, "identity")) {
    return Refuse(415, "the server takes no compressed bodies: leave Content-Encoding out");
  }
  const std::string_view expect = FindHeader(headers, "Expect");
  if (!expect.empty() && !EqualsNoCase(expect, "100-continue")) {
    return Refuse(417, "the only expectation is 100-continue");
  }
  request.keep_alive = !request.http_1_0 && !HasWord(FindHeader(headers, "Connection"), "close");
  return {};
}

}  // namespace

tl::expected<RawRequest, ReadError> RequestReader::Next() {
  RawRequest request;
  if (auto head = ReadHead(request, Clock::now() + limits_.header_time); !head) {
    return tl::unexpected(head.error());
  }
  if (auto body = ReadBody(request); !body) return tl::unexpected(body.error());
  return request;
}

Expected<void> RequestReader::Fill(Clock::time_point deadline) {
  char data[16 * 1024];
  const ssize_t n = source_.Read(data, sizeof data, deadline);
  if (n == ByteSource::kTimedOut) return Refuse(408, "the request did not arrive in time");
  if (n == ByteSource::kEnd) {
    return HasBuffered() ? Refuse(400, "the request ended early") : Refuse(0, "");
  }
  if (begin_ == buffer_.size() || begin_ > 4 * sizeof data) {  // seldom, so that it stays linear
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  buffer_.append(data, static_cast<size_t>(n));
  return {};
}

Expected<std::string_view> RequestReader::Line(size_t max, int too_long,
                                               Clock::time_point deadline) {
  for (size_t searched = 0;;) {  // bytes of the line that have no line feed
    const size_t end = buffer_.find('\n', begin_ + searched);
    searched = std::min(end, buffer_.size()) - begin_;
    if (searched > max + 1) {
      return Refuse(too_long,
                    "a line of the request has more than " + std::to_string(max) + " bytes");
    }
    if (end != buffer_.npos) {
      if (searched == 0 || buffer_[end - 1] != '\r') {
        return Refuse(400, "a line of the request does not end with CR LF");
      }
      const std::string_view line(buffer_.data() + begin_, searched - 1);
      begin_ = end + 1;
      return line;
    }
    if (auto filled = Fill(deadline); !filled) return tl::unexpected(filled.error());
  }
}

Expected<void> RequestReader::ReadHead(RawRequest& request, Clock::time_point deadline) {
  if (!HasBuffered()) {
    if (auto filled = Fill(deadline); !filled) return filled;
  }
  // Anything but HTTP, TLS for one, may never send the end of a line.
  if (!IsToken({buffer_.data() + begin_, 1}) && buffer_[begin_] != '\r') {
    return Refuse(400, "this is not HTTP; the server speaks plain HTTP/1.1");
  }
  auto line = Line(limits_.line, 414, deadline);
  if (line && line->empty()) line = Line(limits_.line, 414, deadline);  // RFC 9112, 2.2
  if (!line) return tl::unexpected(line.error());
  if (auto parsed = ParseRequestLine(*line, request); !parsed) return parsed;

  for (size_t bytes = 0;;) {
    line = Line(limits_.line, 431, deadline);
    if (!line) return tl::unexpected(line.error());
    if (line->empty()) break;
    bytes += line->size() + 2;
    if (request.headers.size() == limits_.headers || bytes > limits_.header_bytes) {
      return Refuse(431, "the request has more than " + std::to_string(limits_.headers) +
                             " headers, or more than " + std::to_string(limits_.header_bytes) +
                             " bytes of them");
    }
    if (auto parsed = ParseHeader(*line, request.headers); !parsed) return parsed;
  }
  return CheckHeaders(request);
}

Expected<void> RequestReader::ReadBody(RawRequest& request) {
  const auto framing = ReadFraming(request, limits_.body);
  if (!framing) return tl::unexpected(framing.error());
  const bool has_body = framing->chunked || framing->length > 0;
  if (has_body && !HasBuffered() && !FindHeader(request.headers, "Expect").empty()) {
    source_.SendContinue();
  }
  const auto deadline = Clock::now() + limits_.body_time;
  return framing->chunked ? TakeChunks(request.body, deadline)
                          : Take(framing->length, request.body, deadline);
}

Expected<void> RequestReader::Take(size_t n, std::string& to, Clock::time_point deadline) {
  while (buffer_.size() - begin_ < n) {
    if (auto filled = Fill(deadline); !filled) {
      return filled.error().status == 0 ? Refuse(400, "the body ended early") : filled;
    }
  }
  to.append(buffer_, begin_, n);
  begin_ += n;
  return {};
}

// chunk = hex size, optional extension, CRLF, data, CRLF; the last one has size 0, then trailers
// and an empty line.
Expected<void> RequestReader::TakeChunks(std::string& to, Clock::time_point deadline) {
  for (;;) {
    auto line = Line(limits_.line, 400, deadline);
    if (!line) return tl::unexpected(line.error());
    const std::string_view digits = Trim(line->substr(0, line->find(';')));
    uint32_t size = 0;  // a longer number is an error of from_chars
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
    if (digits.size() > 8 || error != std::errc() || end != digits.data() + digits.size()) {
      return Refuse(400, "a chunk of the body has a malformed size");
    }
    if (size > limits_.body - to.size()) {
      return Refuse(413, "the body has more than " + std::to_string(limits_.body) + " bytes");
    }
    if (size == 0) break;
    if (auto taken = Take(size, to, deadline); !taken) return taken;
    line = Line(limits_.line, 400, deadline);
    if (!line) return tl::unexpected(line.error());
    if (!line->empty()) return Refuse(400, "a chunk of the body is longer than its size");
  }
  for (size_t trailers = 0; trailers <= limits_.headers; ++trailers) {
    auto line = Line(limits_.line, 431, deadline);
    if (!line) return tl::unexpected(line.error());
    if (line->empty()) return {};
  }
  return Refuse(431, "the body has too many trailers");
}

}  // namespace lockstep
