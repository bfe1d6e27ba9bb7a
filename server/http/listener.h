// The socket that a server listens on, and addresses as text.
#pragma once

#include <sys/socket.h>

#include <string>

#include "core/base/status.h"

namespace lockstep {

struct Listener {
  int socket;  // nonblocking; the receiver closes it
  int port;
  bool loopback;       // only this machine can reach it
  std::string host{};  // as NumericAddress has it
};

// Port 0 is any free one. The host "::" is every address of the machine, also of IPv4, and also
// where the kernel has no IPv6. kUnavailable if the address cannot be had.
[[nodiscard]] Result<Listener> Listen(const std::string& host, int port);

// A socket that another process has made so, and that this one has inherited. kInvalidArgument if
// it is none of TCP that listens.
[[nodiscard]] Result<Listener> TakeListener(int socket);

// Why nobody who listens there can be reached, such as "Connection refused". Tries for a second.
std::string WhyNoConnection(const std::string& host, int port);

// Without the port: "127.0.0.1", also where it came over IPv6; "::1".
std::string NumericAddress(const sockaddr_storage& address);
// "127.0.0.1:80", "[::1]:80": as a URL has it.
std::string HostAndPort(const std::string& host, int port);

}  // namespace lockstep
