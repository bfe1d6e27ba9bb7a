// The socket never blocks. Who must wait for it, a worker that streams, polls with a deadline; all
// others come back when the poller says that it is ready.
#include "server/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The one interim response that all clients skip. A client that waits for a short answer need not
// be asked, and one that has left is noticed soon; where a proxy's socket takes what is sent, the
// next time.
constexpr std::string_view kInterim = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr milliseconds kBeforeAsking{100}, kAskEvery{500};

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Connection::Connection(int socket, std::string peer, const RequestLimits& limits,
                       milliseconds write_stall, const std::atomic<bool>& stopping)
    : reader(limits),
      socket_(socket),
      peer_(std::move(peer)),
      write_stall_(write_stall),
      stopping_(stopping) {
  const int on = 1;  // each token leaves when it is made
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // Left alone it grows to megabytes for each client that does not read. A socket is writable again
  // once a third is free, so that a client which reads slowly is seen to do so at each kWritePiece.
  const int send_buffer = 2 * kWritePiece;  // the kernel doubles it
  setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
}

Connection::~Connection() { close(socket_); }

ssize_t Connection::Receive(char* data, size_t size) {
  const ssize_t n = recv(socket_, data, size, 0);
  if (n >= 0) return n;
  return WouldBlock() ? kNothingYet : kEnd;
}

size_t Connection::Send(std::string_view bytes) {
  const ssize_t n = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n >= 0) return static_cast<size_t>(n);
  broken_ = broken_ || !WouldBlock();
  return 0;
}

bool Connection::Flush() {
  while (flushed_ < queued_.size() && !broken_) {
    const size_t n = Send(std::string_view(queued_).substr(flushed_));
    if (n == 0 && !broken_) return false;
    flushed_ += n;
  }
  FreeMemory(queued_);
  flushed_ = 0;
  return true;
}

bool Connection::Write(std::string_view bytes) {
  if (!std::exchange(begun_, true)) sent_all_ = (Hangup() & POLLRDHUP) != 0;
  while (!bytes.empty() && !broken_) {
    std::string_view piece = bytes.substr(0, kWritePiece);
    bytes.remove_prefix(piece.size());
    const auto deadline = Clock::now() + write_stall_;
    while (!piece.empty() && !broken_) {
      const size_t n = Send(piece);
      piece.remove_prefix(n);
      broken_ = broken_ || (n == 0 && !WaitWritable(deadline));
    }
  }
  return !broken_;
}

short Connection::Hangup() const {
  pollfd fd{socket_, POLLRDHUP, 0};
  return poll(&fd, 1, 0) > 0 ? fd.revents : short{0};
}

void Connection::BeginReply(bool interim) {
  interim_ = interim;
  begun_ = sent_all_ = false;
  ask_at_.reset();
}

bool Connection::Gone() {
  if (broken_ || stopping_) return true;
  const int hangup = Hangup();
  if ((hangup & POLLRDHUP) == 0 || (hangup & (POLLHUP | POLLERR)) != 0) return hangup != 0;
  if (begun_ || !interim_) return !sent_all_;
  const auto now = Clock::now();
  if (!ask_at_) ask_at_ = now + kBeforeAsking;
  if (now < *ask_at_) return false;
  ask_at_ = now + kAskEvery;
  broken_ = Send(kInterim) < kInterim.size();
  return broken_;
}

void Connection::ShutDown() { shutdown(socket_, SHUT_WR); }

bool Connection::WaitWritable(Clock::time_point deadline) const {
  constexpr milliseconds kSlice{100};  // how soon a stop is noticed
  while (!stopping_) {
    const auto left =
        std::max(std::chrono::ceil<milliseconds>(deadline - Clock::now()), milliseconds::zero());
    pollfd fd{socket_, POLLOUT, 0};
    if (poll(&fd, 1, static_cast<int>(std::min(left, kSlice).count())) > 0) return true;
    // Only now: to a process that was stopped for longer the client may have read on meanwhile.
    if (left == milliseconds::zero()) return false;
  }
  return false;
}

}  // namespace lockstep
