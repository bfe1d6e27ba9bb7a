// Two small protocols, sd_listen_fds(3) and sd_notify(3), which need no library: variables say
// which descriptors came with the process, and a datagram hands one back. The name under which a
// socket is stored says what address was asked for, so that one of an earlier configuration is not
// served on.
#include "server/app/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "server/http/listener.h"

namespace lockstep {
namespace {

constexpr int kFirst = 3;  // of the descriptors that are handed over

// Empty where it is not set. Whoever this process starts shall not take it for its own.
std::string TakeVariable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  std::string taken = value == nullptr ? "" : value;
  unsetenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  return taken;
}

// The manager takes names of at most 255 characters, of which none is a colon.
std::string StoredName(const HttpServerOptions& options) {
  std::string name = fmt::format("lockstep {} {}", options.host, options.port).substr(0, 255);
  std::ranges::replace(name, ':', '_');
  return name;
}

// Whether it was sent; what becomes of it the manager does not say. With a descriptor, or -1.
bool Notify(const std::string& address, std::string message, int descriptor) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.empty() || address.size() >= sizeof name.sun_path) return false;
  std::memcpy(name.sun_path, address.data(), address.size());
  if (address[0] == '@') name.sun_path[0] = '\0';  // one without a file

  iovec text{message.data(), message.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  msghdr datagram{};
  datagram.msg_name = &name;
  datagram.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  datagram.msg_iov = &text;
  datagram.msg_iovlen = 1;
  if (descriptor >= 0) {
    datagram.msg_control = control;
    datagram.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&datagram);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const bool sent = sendmsg(socket, &datagram, MSG_NOSIGNAL) >= 0;
  close(socket);
  return sent;
}

}  // namespace

Status ListenForRestarts(HttpServerOptions& options) {
  const std::string manager = TakeVariable("NOTIFY_SOCKET");
  // How many descriptors the manager would store; the unit says so where systemd is older than 254.
  const std::string stores = TakeVariable("FDSTORE");
  const std::string pid = TakeVariable("LISTEN_PID"), count = TakeVariable("LISTEN_FDS");
  const std::string given = TakeVariable("LISTEN_FDNAMES");
  const std::string wanted = StoredName(options);

  if (pid == std::to_string(getpid()) && !count.empty() && count != "0") {
    if (count != "1") {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("the service manager hands over {} sockets, and one can be served: "
                              "leave one ListenStream= in the socket unit",
                              count));
    }
    const bool stored = given.starts_with("lockstep ");
    if (!stored || given == wanted) {
      TRY(const Listener listener, TakeListener(kFirst));
      if (!stored) options.host = listener.host;
      options.listener = listener.socket;
      options.kept = true;
      return {};
    }
    close(kFirst);
    Notify(manager, "FDSTOREREMOVE=1\nFDNAME=" + given, -1);
  }
  if (stores.empty() || manager.empty()) return {};
  TRY(const Listener listener, Listen(options.host, options.port));
  options.listener = listener.socket;
  options.kept = Notify(manager, "FDSTORE=1\nFDNAME=" + wanted, listener.socket);
  return {};
}

}  // namespace lockstep
