// One accepted socket with deadlines: every wait ends in time, and at once when the server stops.
// Used by one thread; closes the socket when destroyed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>

#include "server/request_reader.h"

namespace lockstep {

class Connection : public ByteSource {
 public:
  // `stopping` must outlive the connection. write_stall: how long a client may take for each 64
  // KiB.
  Connection(int socket, std::chrono::milliseconds write_stall, const std::atomic<bool>& stopping);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  ssize_t Read(char* data, size_t size, Clock::time_point deadline) override;
  void SendContinue() override;

  // True when bytes have come, or the end; false after `idle`, or once `give_up` says so.
  bool WaitForRequest(std::chrono::milliseconds idle, const std::function<bool()>& give_up) const;

  // All of it, or false: the client has gone or does not read. False ever after, too.
  bool Write(const char* data, size_t size);

  // The client has closed its side, the connection is broken, or the server stops. A client that
  // only shuts down its sending side counts as gone: from here the two look the same.
  bool Gone() const;

  // Ends the connection such that a client that is still sending gets to read the answer: closing
  // with bytes unread would reset the connection and may destroy the answer on its way.
  void CloseGently();

 private:
  enum WaitFor : short { kReadable, kWritable };
  // Until the socket is ready or broken; false at the deadline or when the server stops.
  bool Wait(WaitFor what, Clock::time_point deadline) const;

  const int socket_;
  const std::chrono::milliseconds write_stall_;
  const std::atomic<bool>& stopping_;
  bool broken_ = false;
};

}  // namespace lockstep
