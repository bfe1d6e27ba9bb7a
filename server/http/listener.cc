// The library's own binding takes the wildcard of one family for all: 0.0.0.0 cannot be reached
// where there is only IPv6. A socket on :: takes both families unless IPV6_V6ONLY, whose default is
// the distribution's, forbids it.
#include "server/http/listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>

namespace lockstep {
namespace {

constexpr int kBacklog = 1024;  // a fuller one drops connects, which are tried again after 1 s

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses Resolve(const std::string& host, int port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string service = std::to_string(port);
  const int failed = getaddrinfo(host.c_str(), service.c_str(), &wanted, &found);
  return {failed == 0 ? found : nullptr, &freeaddrinfo};
}

// The socket, or -1 with errno.
int Bind(const addrinfo& address) {
  const int socket =
      ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (socket < 0) return -1;
  const int on = 1, off = 0;
  // Not SO_REUSEPORT, with which a second server would share the port unseen.
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ai_family == AF_INET6) {
    setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (bind(socket, address.ai_addr, address.ai_addrlen) == 0 && listen(socket, kBacklog) == 0) {
    return socket;
  }
  const int why = errno;
  close(socket);
  errno = why;
  return -1;
}

Listener Describe(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return {socket, ntohs(v6.sin6_port), IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0,
            NumericAddress(address)};
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  return {socket, ntohs(v4.sin_port), ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET,
          NumericAddress(address)};
}

}  // namespace

Result<Listener> Listen(const std::string& host, int port) {
  const Addresses addresses = Resolve(host, port);
  int why = EADDRNOTAVAIL;
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const int socket = Bind(*address);
    if (socket >= 0) return Describe(socket);
    why = errno;
  }
  const bool no_ipv6 = why == EAFNOSUPPORT || why == EADDRNOTAVAIL;
  if (host == "::" && no_ipv6) return Listen("0.0.0.0", port);
  const std::string reason = addresses == nullptr ? "the host is not an address of this machine"
                                                  : std::generic_category().message(why);
  return Fail(ErrorKind::kUnavailable,
              fmt::format("cannot listen on {}: {}{}", HostAndPort(host, port), reason,
                          why == EADDRINUSE ? "; choose another port with --port" : ""));
}

Result<Listener> TakeListener(int socket) {
  int listens = 0, family = 0;
  socklen_t size = sizeof listens;
  const bool known = getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
                     getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0;
  if (!known || listens == 0 || (family != AF_INET && family != AF_INET6)) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("descriptor {} is no socket that listens on a port of TCP", socket));
  }
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  fcntl(socket, F_SETFL, O_NONBLOCK);
  return Describe(socket);
}

// A client that comes over IPv4 to a socket of IPv6 has the same address as it has elsewhere.
std::string NumericAddress(const sockaddr_storage& address) {
  char host[NI_MAXHOST] = "";
  getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof address, host, sizeof host,
              nullptr, 0, NI_NUMERICHOST);
  constexpr std::string_view kMapped = "::ffff:";
  const std::string_view text = host;
  const bool is_v4 = text.starts_with(kMapped) && text.find('.') != text.npos;
  return std::string(is_v4 ? text.substr(kMapped.size()) : text);
}

std::string HostAndPort(const std::string& host, int port) {
  const bool is_v6 = host.find(':') != host.npos;
  return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

std::string WhyNoConnection(const std::string& host, int port) {
  constexpr int kPatienceMs = 1000;
  const Addresses found = Resolve(host, port);
  if (found == nullptr) return "the name has no address";
  const int tried = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int why = 0;
  if (tried < 0 || connect(tried, found->ai_addr, found->ai_addrlen) != 0) why = errno;
  if (why == EINPROGRESS) {
    pollfd fd{tried, POLLOUT, 0};
    socklen_t size = sizeof why;
    why = ETIMEDOUT;
    if (poll(&fd, 1, kPatienceMs) == 1) getsockopt(tried, SOL_SOCKET, SO_ERROR, &why, &size);
  }
  if (tried >= 0) close(tried);
  return why == 0 ? "the connection broke off" : std::generic_category().message(why);
}

}  // namespace lockstep
