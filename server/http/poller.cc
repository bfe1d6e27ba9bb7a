// One thread and epoll hold any number of slow clients for the price of their memory, where a
// thread each would let a thousand of them take all. Each held connection is in one phase with one
// deadline:
//
//   kIdle -> kHead -> kBody -> (handed out) -> kFlush -> kIdle, or -> kLinger -> closed
//
// waits_ has the deadlines in order, so that the next one is known at once and the earliest, who
// has kept us waiting longest, is found first when somebody must make room.
#include "server/http/poller.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "server/http/listener.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

// How many connections over the limit may be open to read their 503.
constexpr size_t kRefusedAtOnce = 128;
// Before descriptors or memory are tried for again.
constexpr milliseconds kAcceptPause{100};
// A client that is still sending gets to read its answer: closing with bytes unread would reset
// the connection and may destroy the answer on its way.
constexpr milliseconds kLingerTime{1000};
constexpr size_t kMaxDropped = 64 * 1024 * 1024;

constexpr size_t kReadSize = 16 * 1024;

// The accept that failed may succeed once a connection is closed.
bool NeedsRoom(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Result<std::unique_ptr<Poller>> Poller::Create(int listener, PollerOptions options,
                                               Dispatch dispatch) {
  auto poller =
      std::unique_ptr<Poller>(new Poller(listener, std::move(options), std::move(dispatch)));
  if (poller->epoll_ < 0 || poller->wake_ < 0 ||
      !poller->SetEvents(EPOLL_CTL_ADD, listener, EPOLLIN) ||
      !poller->SetEvents(EPOLL_CTL_ADD, poller->wake_, EPOLLIN)) {
    return Fail(ErrorKind::kUnavailable,
                "cannot watch connections: " + std::generic_category().message(errno));
  }
  return poller;
}

Poller::Poller(int listener, PollerOptions options, Dispatch dispatch)
    : listener_(listener),
      options_(std::move(options)),
      dispatch_(std::move(dispatch)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Poller::~Poller() {
  Stop();
  if (wake_ >= 0) close(wake_);
  if (epoll_ >= 0) close(epoll_);
}

void Poller::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Poller::StopAccepting() {
  told_to_stop_accepting_ = true;
  eventfd_write(wake_, 1);
}

void Poller::Return(ConnectionPtr connection) {
  const MutexLock lock(mutex_);
  if (stopping_) return;
  returned_.push_back(std::move(connection));
  eventfd_write(wake_, 1);
}

void Poller::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    returned_.clear();
    eventfd_write(wake_, 1);
  }
  if (thread_.joinable()) thread_.join();
}

void Poller::Run() {
  while (!stopping_) {
    epoll_event events[64];
    const int n = epoll_wait(epoll_, events, std::size(events), MillisecondsToWait());
    bool accept = false;
    for (int i = 0; i < n; ++i) {
      const int socket = events[i].data.fd;
      if (socket == listener_) {
        accept = true;
      } else if (socket == wake_) {
        TakeReturned();
      } else if (const auto held = held_.find(socket); held != held_.end()) {
        Guard(socket, [&] { OnReady(held->second); });
      }
    }
    EndWaits();
    // Last: a new socket may have the number of one that was closed.
    if (told_to_stop_accepting_) {
      if (accepting_) EndListening();
    } else if (accept) {
      Guard(listener_, [&] { Accept(); });
    }
  }
  held_.clear();
}

template <class Step>
void Poller::Guard(int socket, Step step) {
  try {
    step();
  } catch (const std::exception&) {
    if (const auto held = held_.find(socket); held != held_.end()) Release(held->second);
  }
}

int Poller::MillisecondsToWait() const {
  if (waits_.empty()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(waits_.begin()->first - Clock::now());
  return static_cast<int>(std::max(left, milliseconds(0)).count());
}

void Poller::TakeReturned() {
  eventfd_t count = 0;
  eventfd_read(wake_, &count);
  std::vector<ConnectionPtr> returned;
  {
    const MutexLock lock(mutex_);
    returned.swap(returned_);
  }
  for (ConnectionPtr& connection : returned) {
    Guard(connection->socket(), [&] { FlushSome(Hold(std::move(connection))); });
  }
}

void Poller::EndWaits() {
  const auto now = Clock::now();
  while (!waits_.empty() && waits_.begin()->first <= now) {
    const int socket = waits_.begin()->second;
    waits_.erase(waits_.begin());
    if (socket == listener_) {
      SetEvents(EPOLL_CTL_MOD, listener_, EPOLLIN);
    } else {
      Guard(socket, [&] { OnDeadline(held_.at(socket)); });
    }
  }
}

void Poller::Accept() {
  for (int i = 0; i < 64; ++i) {  // then the others have their turn
    if (open_ >= options_.connections + kRefusedAtOnce) return PauseAccepting();
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int socket = accept4(listener_, reinterpret_cast<sockaddr*>(&address), &size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
      const int why = errno;
      if (why == EAGAIN || why == EINTR || why == ECONNABORTED) return;
      // The kernel looks for a free descriptor before it looks whether anybody waits for one.
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 0) == 0) return;
      if (NeedsRoom(why) && MakeRoom() == Room::kNow) continue;
      return PauseAccepting();  // without it the listener, which stays readable, would be spun on
    }
    ConnectionPtr connection;
    try {
      connection = std::make_shared<Connection>(socket, NumericAddress(address), options_.limits,
                                                options_.write_stall, stopping_);
    } catch (const std::exception&) {
      close(socket);
      return PauseAccepting();
    }
    last_arrival_ = Clock::now();
    const bool too_many = open_ >= options_.connections && MakeRoom() == Room::kNone;
    connection->counted_open.emplace(open_);
    connection->request_memory = MemoryBudget::Share(options_.memory);
    connection->reply_memory = MemoryBudget::Share(options_.memory);
    Guard(socket, [&] {
      Held& held = Hold(std::move(connection));
      if (too_many) return Refuse(held, 503, "the server has too many connections");
      ReadOn(held);
    });
  }
}

// The kernel has accepted connections that we have not, and resets them when it stops listening:
// who sits there may have sent a request already. In one that is kept they wait; a shutdown would
// end it for whoever else holds it, too.
void Poller::EndListening() {
  SetEvents(EPOLL_CTL_DEL, listener_, 0);
  if (!options_.kept) {
    Guard(listener_, [&] { Accept(); });
    shutdown(listener_, SHUT_RD);
  }
  accepting_ = false;
}

void Poller::PauseAccepting() {
  waits_.emplace(Clock::now() + kAcceptPause, listener_);
  SetEvents(EPOLL_CTL_MOD, listener_, 0);
}

bool Poller::SetEvents(int operation, int socket, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = socket;
  return epoll_ctl(epoll_, operation, socket, &event) == 0;
}

Poller::Held& Poller::Hold(ConnectionPtr connection) {
  const int socket = connection->socket();
  Held& held = held_[socket];
  held.connection = std::move(connection);
  if (!SetEvents(EPOLL_CTL_ADD, socket, EPOLLIN)) throw std::bad_alloc();
  return held;
}

Poller::ConnectionPtr Poller::Release(Held& held) {
  ConnectionPtr connection = std::move(held.connection);
  const int socket = connection->socket();
  waits_.erase({held.deadline, socket});
  held_.erase(socket);
  epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
  return connection;
}

void Poller::Enter(Held& held, Phase phase) {
  const int socket = held.connection->socket();
  const milliseconds time = phase == Phase::kIdle    ? options_.idle
                            : phase == Phase::kHead  ? options_.limits.header_time
                            : phase == Phase::kBody  ? options_.limits.body_time
                            : phase == Phase::kFlush ? options_.write_stall
                                                     : kLingerTime;
  waits_.erase({held.deadline, socket});
  held.since = Clock::now();
  held.deadline = held.since + time;
  waits_.emplace(held.deadline, socket);
  const bool writes = phase == Phase::kFlush;
  if (writes != (held.phase == Phase::kFlush)) {
    SetEvents(EPOLL_CTL_MOD, socket, writes ? EPOLLOUT : EPOLLIN);
  }
  held.phase = phase;
}

void Poller::OnReady(Held& held) {
  switch (held.phase) {
    case Phase::kIdle:
    case Phase::kHead:
    case Phase::kBody:
      ReadSome(held);
      return;
    case Phase::kFlush:
      return FlushSome(held);
    case Phase::kLinger:
      return DropSome(held);
  }
}

// A process that was stopped, or had to wait for a processor, finds the deadline over and the bytes
// there: what has arrived counts before the time does.
void Poller::OnDeadline(Held& held) {
  const int socket = held.connection->socket();
  const Phase phase = held.phase;
  const auto waits_on = [&] {
    const auto still = held_.find(socket);
    return still != held_.end() && still->second.phase == phase;
  };
  if (phase == Phase::kFlush) {
    const size_t taken = held.connection->flushed();
    FlushSome(held);
    if (waits_on() && held.connection->flushed() == taken) Release(held);
    return;
  }
  if (phase == Phase::kLinger) {
    Release(held);
    return;
  }
  while (waits_on() && ReadSome(held)) {
  }
  if (!waits_on()) return;
  if (phase == Phase::kIdle) {
    Release(held);
  } else {
    Refuse(held, 408, "the request did not arrive in time");
  }
}

bool Poller::ReadSome(Held& held) {
  char data[kReadSize];
  const ssize_t n = held.connection->Receive(data, sizeof data);
  if (n == Connection::kNothingYet) return false;
  if (n == Connection::kEnd) {
    if (held.phase == Phase::kIdle) {
      Release(held);
    } else {
      Refuse(held, 400, "the request ended early");
    }
    return true;
  }
  held.connection->reader.Feed({data, static_cast<size_t>(n)});
  CountRequest(*held.connection);
  if (RefuseIfTooLarge(held)) return true;
  const int socket = held.connection->socket();
  while (options_.memory->overdrawn() &&
         DropABody(kSmallRequest, "the server has too many large requests at once")) {
  }
  if (held_.contains(socket)) ReadOn(held);  // else it was dropped itself
  return true;
}

void Poller::DropSome(Held& held) {
  char data[kReadSize];
  const ssize_t n = held.connection->Receive(data, sizeof data);
  if (n == Connection::kNothingYet) return;
  held.dropped += static_cast<size_t>(n);
  if (n == Connection::kEnd || held.dropped > kMaxDropped) Release(held);
}

void Poller::FlushSome(Held& held) {
  Connection& connection = *held.connection;
  const size_t pieces = connection.flushed() / Connection::kWritePiece;
  if (!connection.Flush()) {
    const bool next_piece = connection.flushed() / Connection::kWritePiece != pieces;
    if (held.phase != Phase::kFlush || next_piece) Enter(held, Phase::kFlush);
    return;
  }
  connection.counted_active.reset();
  connection.reply_memory.Force(0);
  if (connection.broken()) {
    Release(held);
  } else if (connection.last) {
    connection.ShutDown();
    Enter(held, Phase::kLinger);
  } else {
    connection.reader.Next();
    CountRequest(connection);
    ReadOn(held);
  }
}

void Poller::ReadOn(Held& held) {
  Connection& connection = *held.connection;
  const RequestReader::State state = connection.reader.state();
  if (state == RequestReader::State::kWhole || state == RequestReader::State::kRefused) {
    last_arrival_ = Clock::now();
    return dispatch_(Release(held));
  }
  const Phase phase = state == RequestReader::State::kIdle   ? Phase::kIdle
                      : state == RequestReader::State::kHead ? Phase::kHead
                                                             : Phase::kBody;
  if (phase != held.phase) Enter(held, phase);
  if (connection.reader.TakeContinue()) {
    connection.Queue("HTTP/1.1 100 Continue\r\n\r\n");
    if (!connection.Flush() || connection.broken()) Release(held);
  }
}

void Poller::CountRequest(Connection& connection) {
  if (connection.reader.TakeHead()) options_.on_head(connection.reader);
  connection.request_memory.Force(connection.reader.bytes());
}

void Poller::Refuse(Held& held, int status, std::string message) {
  held.connection->reader.Refuse({status, std::move(message)});
  held.connection->request_memory.Force(held.connection->reader.bytes());
  ReadOn(held);
}

}  // namespace lockstep
