#include "server/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace lockstep {
namespace {

constexpr size_t kWritePiece = 64 * 1024;  // of which each has the whole write_stall

constexpr std::chrono::milliseconds kSlice{100};  // how soon a stop is noticed

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Connection::Connection(int socket, std::chrono::milliseconds write_stall,
                       const std::atomic<bool>& stopping)
    : socket_(socket), write_stall_(write_stall), stopping_(stopping) {
  const int on = 1;  // each token leaves when it is made
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Connection::~Connection() { close(socket_); }

ssize_t Connection::Read(char* data, size_t size, Clock::time_point deadline) {
  for (;;) {
    const ssize_t n = recv(socket_, data, size, MSG_DONTWAIT);
    if (n > 0) return n;
    if (n == 0 || !WouldBlock() || stopping_) return kEnd;
    if (!Wait(kReadable, deadline)) return stopping_ ? kEnd : kTimedOut;
  }
}

void Connection::SendContinue() {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  Write(kContinue.data(), kContinue.size());
}

bool Connection::WaitForRequest(std::chrono::milliseconds idle,
                                const std::function<bool()>& give_up) const {
  const auto deadline = Clock::now() + idle;
  while (Clock::now() < deadline && !stopping_ && !give_up()) {
    if (Wait(kReadable, std::min(deadline, Clock::now() + kSlice))) return true;
  }
  return false;
}

bool Connection::Write(const char* data, size_t size) {
  while (size > 0 && !broken_) {
    size_t piece = std::min(size, kWritePiece);
    const auto deadline = Clock::now() + write_stall_;
    while (piece > 0 && !broken_) {
      const ssize_t n = send(socket_, data, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) {
        data += n;
        size -= static_cast<size_t>(n);
        piece -= static_cast<size_t>(n);
      } else {
        broken_ = !WouldBlock() || !Wait(kWritable, deadline);
      }
    }
  }
  return !broken_;
}

bool Connection::Gone() const {
  pollfd fd{socket_, POLLRDHUP, 0};
  return broken_ || stopping_ ||
         (poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

void Connection::CloseGently() {
  constexpr std::chrono::seconds kLinger{1};
  constexpr size_t kMaxDropped = 8 * 1024 * 1024;
  shutdown(socket_, SHUT_WR);
  char dropped[16 * 1024];
  const auto deadline = Clock::now() + kLinger;
  for (size_t total = 0; total < kMaxDropped && Clock::now() < deadline;) {
    const ssize_t n = Read(dropped, sizeof dropped, deadline);
    if (n <= 0) return;
    total += static_cast<size_t>(n);
  }
}

bool Connection::Wait(WaitFor what, Clock::time_point deadline) const {
  using std::chrono::milliseconds;
  while (!stopping_) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds::zero()) return false;
    pollfd fd{socket_, static_cast<short>(what == kReadable ? POLLIN : POLLOUT), 0};
    if (poll(&fd, 1, static_cast<int>(std::min(left, kSlice).count())) > 0) return true;
  }
  return false;
}

}  // namespace lockstep
