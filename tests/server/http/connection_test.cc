#include "server/http/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace lockstep {
namespace {

using std::chrono::milliseconds;

// A connection, and the other end of its socket.
class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    client_ = ends[1];
    connection_.emplace(ends[0], "peer", RequestLimits{}, milliseconds(200), stopping_);
  }
  ~ConnectionTest() override { CloseClient(); }
  void CloseClient() {
    if (client_ >= 0) close(std::exchange(client_, -1));
  }
  // Reads so many bytes as a client.
  size_t Take(size_t bytes) {
    std::string data(bytes, '\0');
    size_t taken = 0;
    for (ssize_t n; taken < bytes && (n = read(client_, data.data(), bytes - taken)) > 0;) {
      taken += static_cast<size_t>(n);
    }
    return taken;
  }

  std::atomic<bool> stopping_{false};
  int client_ = -1;
  std::optional<Connection> connection_;
};

TEST_F(ConnectionTest, ReceivesWithoutWaiting) {
  char data[8];
  EXPECT_EQ(connection_->Receive(data, sizeof data), Connection::kNothingYet);
  ASSERT_EQ(write(client_, "abc", 3), 3);
  EXPECT_EQ(connection_->Receive(data, sizeof data), 3);
  EXPECT_FALSE(connection_->Gone());
  CloseClient();
  EXPECT_TRUE(connection_->Gone());
  EXPECT_EQ(connection_->Receive(data, sizeof data), Connection::kEnd);
}

TEST_F(ConnectionTest, WhoHasSentAllAndReadsIsNotGone) {
  connection_->BeginReply(true);
  shutdown(client_, SHUT_WR);
  EXPECT_FALSE(connection_->Gone());  // a short answer would come now, and alone
  char none;
  EXPECT_EQ(recv(client_, &none, 1, MSG_DONTWAIT), -1);
  std::this_thread::sleep_for(milliseconds(120));
  EXPECT_FALSE(connection_->Gone());
  EXPECT_FALSE(connection_->Gone());  // asks no more for a while
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(Take(interim.size()), interim.size());
  EXPECT_EQ(recv(client_, &none, 1, MSG_DONTWAIT), -1);
  // The reply's own bytes ask from here on.
  EXPECT_TRUE(connection_->Write("HTTP/1.1 200 OK"));
  std::this_thread::sleep_for(milliseconds(520));
  EXPECT_FALSE(connection_->Gone());
  EXPECT_EQ(Take(15), 15u);
  CloseClient();
  EXPECT_TRUE(connection_->Gone());
}

TEST_F(ConnectionTest, WhoShutsDownInAReplyOrKnowsNoInterimOneIsGone) {
  connection_->BeginReply(true);
  EXPECT_TRUE(connection_->Write("HTTP/1.1 200 OK"));
  EXPECT_FALSE(connection_->Gone());
  shutdown(client_, SHUT_WR);
  EXPECT_TRUE(connection_->Gone());
  connection_->BeginReply(false);
  EXPECT_TRUE(connection_->Gone());
  connection_->BeginReply(true);
  EXPECT_FALSE(connection_->Gone());
}

TEST_F(ConnectionTest, FlushSendsWhatTheClientTakes) {
  const std::string much(4 << 20, 'x');
  connection_->Queue(much);
  EXPECT_FALSE(connection_->Flush());
  const size_t before = connection_->flushed();
  EXPECT_GT(before, 0u);
  EXPECT_LT(before, much.size());
  std::thread client([this, &much] { EXPECT_EQ(Take(much.size()), much.size()); });
  while (!connection_->Flush()) std::this_thread::yield();
  client.join();
  EXPECT_EQ(connection_->flushed(), 0u);
  EXPECT_LT(connection_->queued(), 100u);  // the memory is given back
  EXPECT_FALSE(connection_->broken());
}

TEST_F(ConnectionTest, WriteGivesUpOnAClientThatDoesNotRead) {
  EXPECT_FALSE(connection_->Write(std::string(4 << 20, 'x')));
  EXPECT_TRUE(connection_->broken());
  EXPECT_FALSE(connection_->Write("more"));
}

TEST_F(ConnectionTest, AStopEndsAWriteAtOnce) {
  stopping_ = true;
  EXPECT_FALSE(connection_->Write(std::string(4 << 20, 'x')));
  EXPECT_TRUE(connection_->Gone());
}

TEST_F(ConnectionTest, ACountHasEachThatLivesOnce) {
  std::atomic<size_t> count{0};
  {
    const Counted one(count), other(count);
    EXPECT_EQ(count, 2u);
  }
  EXPECT_EQ(count, 0u);
}

}  // namespace
}  // namespace lockstep
