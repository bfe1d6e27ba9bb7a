// The poller alone, with a test in the place of the threads that answer.
#include "server/http/poller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "server/http/listener.h"
#include "tests/server/generation/fake_service.h"
#include "tests/server/http/raw_client.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::StartsWith;

// Of a request whose body is yet to come; the server says when it waits for that.
const std::string kHead =
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";

class PollerTest : public testing::Test {
 protected:
  ~PollerTest() override {
    if (poller_) poller_->Stop();
    {
      const MutexLock lock(mutex_);
      whole_.clear();  // before the poller, which counts its connections
    }
    poller_.reset();
    close(listener_.socket);
  }
  void Start() {
    auto poller = Poller::Create(listener_.socket, options_, [this](Poller::ConnectionPtr one) {
      const MutexLock lock(mutex_);
      whole_.push_back(std::move(one));
    });
    ASSERT_TRUE(poller) << poller.error().message;
    poller_ = *std::move(poller);
    poller_->Start();
  }
  size_t whole() {
    const MutexLock lock(mutex_);
    return whole_.size();
  }
  // The i-th connection that was handed out.
  Poller::ConnectionPtr Whole(size_t i) {
    EXPECT_TRUE(Eventually([&] { return whole() > i; }));
    const MutexLock lock(mutex_);
    return std::exchange(whole_.at(i), nullptr);
  }
  void Answer(const Poller::ConnectionPtr& connection, const std::string& text) {
    connection->Queue(text);
    poller_->Return(connection);
  }

  MemoryBudget memory_{1 << 20};
  PollerOptions options_{{}, seconds(60), seconds(60), 4, &memory_};
  Listener listener_ = *Listen("127.0.0.1", 0);
  Mutex mutex_;
  std::vector<Poller::ConnectionPtr> whole_ GUARDED_BY(mutex_);
  std::unique_ptr<Poller> poller_;
};

TEST_F(PollerTest, HandsOutWholeRequestsAndTakesConnectionsBack) {
  Start();
  RawClient client(listener_.port);
  for (size_t i = 0; i < 3; ++i) {
    client.Send("GET /" + std::to_string(i) + " HTTP/1.1\r\n");
    EXPECT_EQ(whole(), i);
    client.Send("Host: h\r\n\r\n");
    const auto connection = Whole(i);
    EXPECT_EQ(connection->reader.request().target, "/" + std::to_string(i));
    EXPECT_EQ(connection->peer(), "127.0.0.1");
    Answer(connection, "reply");
    client.ReadUntil("reply");
  }
}

TEST_F(PollerTest, AConnectionThatIsTheLastIsClosed) {
  Start();
  RawClient client(listener_.port);
  client.SendRequest("GET /");
  const auto connection = Whole(0);
  connection->last = true;
  Answer(connection, "bye");
  EXPECT_EQ(client.ReadToEnd(), "bye");
}

TEST_F(PollerTest, EachPhaseHasItsTime) {
  options_.idle = options_.limits.header_time = options_.limits.body_time = milliseconds(100);
  Start();
  RawClient idle(listener_.port), head(listener_.port), body(listener_.port);
  head.Send("GET / HT");
  body.Send(kHead + "five");
  EXPECT_EQ(idle.ReadToEnd(), "");
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(Whole(i)->reader.error().status, 408);
}

// Whoever comes takes the place of one that idles, then of the slowest body.
TEST_F(PollerTest, MakesRoomInEveryPhase) {
  Start();
  RawClient bodies[3] = {RawClient(listener_.port), RawClient(listener_.port),
                         RawClient(listener_.port)};
  for (RawClient& client : bodies) {
    client.Send(kHead);
    client.ReadUntil("100 Continue");
  }
  RawClient idle(listener_.port);
  std::this_thread::sleep_for(Poller::kFresh + milliseconds(100));
  RawClient next(listener_.port);
  EXPECT_EQ(idle.ReadToEnd(), "");
  next.Send(kHead);
  next.ReadUntil("100 Continue");
  RawClient probe(listener_.port);
  probe.SendRequest("GET /");
  const auto first = Whole(0), second = Whole(1);
  const bool refused_first = first->reader.state() == RequestReader::State::kRefused;
  EXPECT_EQ((refused_first ? first : second)->reader.error().status, 503);
  EXPECT_EQ((refused_first ? second : first)->reader.request().target, "/");
}

// In a crowd nobody is ended for the next one before a request can have arrived.
TEST_F(PollerTest, WhoHasJustComeIsNotEndedForTheNext) {
  Start();
  RawClient bodies[4] = {RawClient(listener_.port), RawClient(listener_.port),
                         RawClient(listener_.port), RawClient(listener_.port)};
  for (RawClient& client : bodies) {
    client.Send(kHead);
    client.ReadUntil("100 Continue");
  }
  RawClient crowd[3] = {RawClient(listener_.port), RawClient(listener_.port),
                        RawClient(listener_.port)};
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(Whole(i)->reader.error().status, 503);
  for (RawClient& client : crowd) client.SendRequest("GET /");
  for (size_t i = 3; i < 6; ++i) EXPECT_EQ(Whole(i)->reader.request().target, "/");
}

TEST_F(PollerTest, StopEndsWhatItHolds) {
  Start();
  RawClient idle(listener_.port), asking(listener_.port);
  asking.SendRequest("GET /");
  const auto connection = Whole(0);
  poller_->Stop();
  EXPECT_EQ(idle.ReadToEnd(), "");
  EXPECT_TRUE(connection->Gone());
  poller_->Return(connection);  // comes too late, and is let go
}

}  // namespace
}  // namespace lockstep
