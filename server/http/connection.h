// One accepted socket, the request that comes in on it and the reply that goes out. Used by one
// thread at a time: the poller, or the worker that answers. Closes the socket when destroyed.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/memory_budget.h"
#include "server/http/request_reader.h"

namespace lockstep {

// One of a sum for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<size_t>& sum) : sum_(sum) { ++sum_; }
  ~Counted() { --sum_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<size_t>& sum_;
};

class Connection {
 public:
  static constexpr size_t kWritePiece = 64 * 1024;  // each may take the whole write_stall
  static constexpr ssize_t kEnd = 0;                // the client sends no more, or is gone
  static constexpr ssize_t kNothingYet = -1;

  // A nonblocking socket; `stopping` must outlive the connection.
  Connection(int socket, std::string peer, const RequestLimits& limits,
             std::chrono::milliseconds write_stall, const std::atomic<bool>& stopping);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int socket() const { return socket_; }
  const std::string& peer() const { return peer_; }  // the client's address, without the port

  // What has come: the number of bytes, kEnd or kNothingYet. Does not block.
  ssize_t Receive(char* data, size_t size);

  // Adds to what Flush sends.
  void Queue(std::string_view bytes) { queued_.append(bytes); }
  // Sends as much of what is queued as the client takes now. True if nothing is left, or all is
  // lost. Does not block.
  bool Flush();
  size_t flushed() const { return flushed_; }           // bytes since nothing was queued
  size_t queued() const { return queued_.capacity(); }  // bytes of memory

  // Blocks until all of it is sent, or false: the client is gone or does not read. False ever
  // after, too. The wait ends at once when the server stops. REQUIRES: nothing is queued.
  bool Write(std::string_view bytes);
  bool broken() const { return broken_; }

  // A request is about to be answered. `interim`: its client knows interim responses, as HTTP/1.1
  // has them.
  void BeginReply(bool interim);
  // The client is gone, the connection is broken, or the server stops. Who has only shut down the
  // sending side still reads, and looks like one who has closed it all until something is sent: a
  // socket that nobody holds any more answers with a reset. What is sent is the reply, if that has
  // begun, and before it an interim response. Who shuts it down in the midst of a reply, or knows
  // no interim responses, counts as gone.
  bool Gone();

  // Tells the client that nothing more will come.
  void ShutDown();

  RequestReader reader;
  std::optional<Counted> counted_open, counted_active;
  MemoryBudget::Share request_memory, reply_memory;  // what the reader holds, and what is queued
  size_t requests = 0;                               // so many were answered here
  bool last = false;                                 // to be closed after the reply

 private:
  // False if the connection is broken, the deadline is over or the server stops.
  bool WaitWritable(std::chrono::steady_clock::time_point deadline) const;
  // What poll says of the other side: POLLRDHUP, POLLHUP, POLLERR.
  short Hangup() const;
  // The number of bytes that the client took, maybe none.
  size_t Send(std::string_view bytes);

  const int socket_;
  const std::string peer_;
  const std::chrono::milliseconds write_stall_;
  const std::atomic<bool>& stopping_;
  std::string queued_;
  size_t flushed_ = 0;  // of queued_
  bool broken_ = false;
  bool interim_ = false;
  bool begun_ = false;     // something of the reply was written
  bool sent_all_ = false;  // the client had shut down its side before that
  std::optional<std::chrono::steady_clock::time_point> ask_at_;  // whether it still reads
};

}  // namespace lockstep
