// httplib's client pushes a body at its receiver on a thread of its own, where our replies are
// pulled by whoever writes them to the client: with it each stream would take a thread and a queue
// more, and a slow reader would fill that queue. Its replies are our own server's, so that the few
// forms of HTTP which that one writes are read here: a length, chunks, or the connection's end.
#include "server/http/upstream.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace lockstep {
namespace {

constexpr int kLookMs = 50;  // how soon it is seen that a client has gone
constexpr size_t kPiece = 64 * 1024, kMaxHead = 256 * 1024;

// What belongs to one connection, and is not handed on (RFC 9110, 7.6.1).
constexpr std::array<std::string_view, 10> kOfConnection = {
    "Connection", "Keep-Alive",        "Proxy-Connection", "TE",  "Trailer", "Upgrade",
    "Expect",     "Transfer-Encoding", "Content-Length",   "Host"};
// The server that answers the client writes these itself.
constexpr std::array<std::string_view, 3> kOfReply = {"Date", "X-Request-Id", "Content-Type"};

bool IsOneOf(std::string_view name, auto& names) {
  return std::ranges::any_of(names,
                             [&](std::string_view other) { return EqualsNoCase(name, other); });
}

Error Broken(const char* what) {
  return {ErrorKind::kUnavailable, fmt::format("the model's process {}; try again", what), {}, 1};
}

// One request on one connection.
class Exchange {
 public:
  Exchange(int socket, std::function<bool()> gone) : socket_(socket), gone_(std::move(gone)) {}
  ~Exchange() { close(socket_); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // The other side may answer and close before it has all, and its answer is what counts.
  Status Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno != EAGAIN && errno != EINTR) {
        return {};
      } else {
        TRY_OK(WaitFor(POLLOUT));
      }
    }
    return {};
  }

  // Adds what has come to `buffer_`. False at the end of the connection.
  Result<bool> Receive() {
    if (used_ > 0) buffer_.erase(0, std::exchange(used_, 0));
    const size_t before = buffer_.size();
    for (;;) {
      buffer_.resize(before + kPiece);
      const ssize_t n = recv(socket_, buffer_.data() + before, kPiece, MSG_DONTWAIT);
      const int why = errno;
      buffer_.resize(before + static_cast<size_t>(std::max<ssize_t>(n, 0)));
      if (n >= 0) return n > 0;
      if (why != EAGAIN && why != EINTR) return false;
      TRY_OK(WaitFor(POLLIN));
    }
  }

  Result<HttpReply> ReadHead() {
    size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == buffer_.npos) {
      if (buffer_.size() > kMaxHead) return tl::unexpected(Broken("answered nonsense"));
      TRY(const bool more, Receive());
      if (!more) return tl::unexpected(Broken("ended before it answered"));
    }
    HttpReply reply;
    std::string_view head = std::string_view(buffer_).substr(0, end + 2);
    used_ = end + 4;
    constexpr std::string_view kVersion = "HTTP/1.1 ";
    if (!head.starts_with(kVersion) ||
        std::from_chars(head.data() + kVersion.size(), head.data() + head.size(), reply.status)
                .ec != std::errc()) {
      return tl::unexpected(Broken("answered nonsense"));
    }
    for (head.remove_prefix(head.find("\r\n") + 2); !head.empty();) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      const size_t colon = std::min(line.find(':'), line.size());
      TakeHeader(line.substr(0, colon), TrimSpaces(line.substr(std::min(colon + 1, line.size()))),
                 reply);
    }
    return reply;
  }

  bool chunked() const { return chunked_; }

  // The body of a reply that is not chunked.
  Result<std::string> ReadBody() {
    std::string body = buffer_.substr(used_);
    buffer_.clear();
    used_ = 0;
    while (!length_ || body.size() < *length_) {
      TRY(const bool more, Receive());
      if (!more && length_) return tl::unexpected(Broken("ended before it answered"));
      if (!more) break;
      body += buffer_;
      buffer_.clear();
    }
    if (length_) body.resize(*length_);
    return body;
  }

  // What there is of a chunked body, or else the next that comes.
  BodyPart NextPart() {
    BodyPart part;
    for (;;) {
      const Chunk chunk = TakeChunk(part.data);
      if (chunk == Chunk::kLast) part.then = BodyPart::Then::kLast;
      if (chunk == Chunk::kBad) part.then = BodyPart::Then::kAbort;
      if (chunk == Chunk::kTaken) continue;
      if (chunk != Chunk::kNeedsMore || !part.data.empty()) return part;
      const auto more = Receive();
      if (!more || !*more) return {{}, BodyPart::Then::kAbort};
    }
  }

 private:
  enum class Chunk { kTaken, kNeedsMore, kLast, kBad };

  Status WaitFor(short events) {
    for (;;) {
      pollfd fd{socket_, events, 0};
      if (poll(&fd, 1, kLookMs) > 0) return {};
      if (gone_()) return Fail(ErrorKind::kCancelled, "the client has gone");
    }
  }

  void TakeHeader(std::string_view name, std::string_view value, HttpReply& reply) {
    if (EqualsNoCase(name, "Content-Type")) reply.content_type = value;
    if (EqualsNoCase(name, "Transfer-Encoding")) chunked_ = true;
    if (EqualsNoCase(name, "Content-Length")) {
      size_t length = 0;
      std::from_chars(value.data(), value.data() + value.size(), length);
      length_ = length;
    }
    if (!IsOneOf(name, kOfConnection) && !IsOneOf(name, kOfReply)) {
      reply.headers.emplace_back(name, value);
    }
  }

  // Takes as much of a chunk as has come, its size line or the line's end behind it.
  Chunk TakeChunk(std::string& data) {
    const std::string_view rest = std::string_view(buffer_).substr(used_);
    if (chunk_left_ > 0) {
      const std::string_view piece = rest.substr(0, chunk_left_);
      data += piece;
      used_ += piece.size();
      chunk_left_ -= piece.size();
      if (piece.empty()) return Chunk::kNeedsMore;
      chunk_ends_ = chunk_left_ == 0;
      return Chunk::kTaken;
    }
    const size_t end = rest.find("\r\n");
    if (end == rest.npos) return Chunk::kNeedsMore;
    used_ += end + 2;
    if (last_) return end == 0 ? Chunk::kLast : Chunk::kTaken;  // trailers, and the end of them
    if (std::exchange(chunk_ends_, false)) return end == 0 ? Chunk::kTaken : Chunk::kBad;
    const auto [read, error] = std::from_chars(rest.data(), rest.data() + end, chunk_left_, 16);
    if (error != std::errc() || read == rest.data()) return Chunk::kBad;
    last_ = chunk_left_ == 0;
    return Chunk::kTaken;
  }

  const int socket_;
  const std::function<bool()> gone_;
  std::string buffer_;
  size_t used_ = 0;  // of the buffer's bytes
  bool chunked_ = false;
  std::optional<size_t> length_;
  size_t chunk_left_ = 0;
  bool chunk_ends_ = false;  // its line's end is to come
  bool last_ = false;        // the chunk of no bytes was there
};

Result<int> Connect(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (socket < 0) {
    return Fail(ErrorKind::kUnavailable, fmt::format("no connection to the model's process: {}",
                                                     std::generic_category().message(errno)));
  }
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // To this machine it is made or refused at once.
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(socket);
    return tl::unexpected(Broken("has ended"));
  }
  return socket;
}

std::string HeadOf(const UpstreamRequest& request) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
                                 request.method, request.target);
  for (const auto& [name, value] : request.headers) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (!request.body.empty() || request.method == "POST") {
    head += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  return head + "\r\n";
}

}  // namespace

Result<HttpReply> AskUpstream(int port, const UpstreamRequest& request,
                              const std::function<bool()>& gone) {
  TRY(const int socket, Connect(port));
  const auto exchange = std::make_shared<Exchange>(socket, gone);
  TRY_OK(exchange->Send(HeadOf(request)));
  TRY_OK(exchange->Send(request.body));
  TRY(HttpReply reply, exchange->ReadHead());
  if (exchange->chunked()) {
    reply.next = [exchange] { return exchange->NextPart(); };
  } else {
    TRY(reply.body, exchange->ReadBody());
  }
  return reply;
}

HttpHeaders EndToEndHeaders(const HttpHeaders& headers) {
  HttpHeaders kept;
  for (const auto& header : headers) {
    if (!IsOneOf(header.first, kOfConnection)) kept.push_back(header);
  }
  return kept;
}

}  // namespace lockstep
