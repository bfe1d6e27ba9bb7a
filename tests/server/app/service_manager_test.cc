// A datagram socket in the place of the service manager's, and descriptor 3 as it hands it over.
#include "server/app/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "server/http/listener.h"
#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManagerTest() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.path().c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(bind(manager_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~ServiceManagerTest() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("FDSTORE");
    close(manager_);
    close(stored_);
    close(listener_.socket);
  }
  // The next message to the manager, or nothing. A descriptor that came with it is stored_.
  std::string Message() {
    char text[512];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof stored_)];
    iovec room{text, sizeof text};
    msghdr datagram{};
    datagram.msg_iov = &room;
    datagram.msg_iovlen = 1;
    datagram.msg_control = control;
    datagram.msg_controllen = sizeof control;
    const ssize_t size = recvmsg(manager_, &datagram, MSG_DONTWAIT);
    if (size < 0) return "";
    if (const cmsghdr* const header = CMSG_FIRSTHDR(&datagram); header != nullptr) {
      std::memcpy(&stored_, CMSG_DATA(header), sizeof stored_);
    }
    return {text, static_cast<size_t>(size)};
  }
  // In a process of its own, whose descriptor 3 is free to be replaced: whether `holds` does of
  // what becomes of the options of a server on 127.0.0.1 and `port` that was handed listener_.
  template <class Condition>
  bool Handed(const char* count, const char* name, int port, Condition holds) {
    const pid_t child = fork();
    if (child == 0) {
      if (listener_.socket != 3) dup2(listener_.socket, 3);
      setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
      setenv("LISTEN_FDS", count, 1);
      setenv("LISTEN_FDNAMES", name, 1);
      HttpServerOptions options = At(port);
      const Status status = ListenForRestarts(options);
      _exit(holds(status, options) && getenv("LISTEN_FDS") == nullptr ? 0 : 1);
    }
    int how = -1;
    return waitpid(child, &how, 0) == child && how == 0;
  }
  static HttpServerOptions At(int port) {
    HttpServerOptions options;
    options.port = port;
    return options;
  }
  void StoresSockets() const {
    setenv("NOTIFY_SOCKET", path_.path().c_str(), 1);
    setenv("FDSTORE", "1", 1);
  }

  const TempFile path_;
  const int manager_ = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  int stored_ = -1;
  const Listener listener_ = *Listen("127.0.0.1", 0);
};

TEST_F(ServiceManagerTest, WithoutOneNothingChanges) {
  HttpServerOptions options = At(0);
  ASSERT_TRUE(ListenForRestarts(options));
  EXPECT_EQ(options.listener, -1);
  EXPECT_FALSE(options.kept);
}

TEST_F(ServiceManagerTest, OneThatStoresSocketsGetsIt) {
  StoresSockets();
  HttpServerOptions options = At(0);
  ASSERT_TRUE(ListenForRestarts(options));
  EXPECT_TRUE(options.kept);
  EXPECT_EQ(Message(), "FDSTORE=1\nFDNAME=lockstep 127.0.0.1 0");
  const auto stored = TakeListener(stored_), own = TakeListener(options.listener);
  ASSERT_TRUE(stored && own);
  EXPECT_EQ(stored->port, own->port);
  EXPECT_EQ(getenv("NOTIFY_SOCKET"), nullptr);
  close(options.listener);
}

TEST_F(ServiceManagerTest, OneThatOnlyHearsStoresNothing) {
  setenv("NOTIFY_SOCKET", path_.path().c_str(), 1);
  HttpServerOptions options = At(0);
  ASSERT_TRUE(ListenForRestarts(options));
  EXPECT_FALSE(options.kept);
  EXPECT_EQ(Message(), "");
}

TEST_F(ServiceManagerTest, TheSocketThatCameIsServedOn) {
  StoresSockets();
  for (const char* name : {"lockstep 127.0.0.1 8080", "lockstep.socket"}) {
    EXPECT_TRUE(Handed("1", name, 8080, [](const Status& status, const HttpServerOptions& options) {
      return status && options.listener == 3 && options.kept && options.host == "127.0.0.1";
    })) << name;
    EXPECT_EQ(Message(), "");
  }
}

TEST_F(ServiceManagerTest, OneOfAnotherConfigurationIsGivenUp) {
  StoresSockets();
  EXPECT_TRUE(Handed("1", "lockstep 127.0.0.1 8080", 0,
                     [](const Status& status, const HttpServerOptions& options) {
                       const auto taken = TakeListener(options.listener);
                       return status && options.kept && taken && taken->port != 0;
                     }));
  EXPECT_EQ(Message(), "FDSTOREREMOVE=1\nFDNAME=lockstep 127.0.0.1 8080");
  EXPECT_EQ(Message(), "FDSTORE=1\nFDNAME=lockstep 127.0.0.1 0");
  const auto stored = TakeListener(stored_);
  ASSERT_TRUE(stored);
  EXPECT_NE(stored->port, listener_.port);
}

TEST_F(ServiceManagerTest, TwoSocketsAreRefused) {
  EXPECT_TRUE(Handed("2", "a:b", 8080, [](const Status& status, const HttpServerOptions& options) {
    return !status && status.error().kind == ErrorKind::kInvalidArgument &&
           status.error().message.find("2 sockets") != std::string::npos && !options.kept;
  }));
}

}  // namespace
}  // namespace lockstep
