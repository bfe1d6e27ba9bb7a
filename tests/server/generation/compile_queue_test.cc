#include "server/generation/compile_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

using std::chrono::milliseconds;

// Runs as many slices as the test lets it.
class Compilation {
 public:
  Compilation(CompileQueue& queue, std::string name, CompileClient client = {})
      : client_(std::move(client)), thread_([this, &queue, name] {
          client_.name = name;
          status_ = queue.Run(client_, [this](WorkMeter& meter) -> Status {
            runs_ = true;
            while (!end_) {
              if (slices_ == done_) {
                std::this_thread::sleep_for(milliseconds(1));
                continue;
              }
              ++done_;
              TRY_OK(meter.Spend(WorkMeter::kSlice));
            }
            return {};
          });
          ended_ = true;
        }) {}
  ~Compilation() {
    end_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void Slice() { ++slices_; }
  const Status& End() {
    end_ = true;
    thread_.join();
    return status_;
  }
  // Within a second.
  bool Runs() const { return Becomes(runs_); }
  bool Ended() const { return Becomes(ended_); }
  bool runs() const { return runs_; }
  const Status& status() const { return status_; }  // REQUIRES: Ended()
  uint64_t work() const { return client_.work; }

 private:
  static bool Becomes(const std::atomic<bool>& value) {
    for (int i = 0; i < 1000 && !value; ++i) std::this_thread::sleep_for(milliseconds(1));
    return value;
  }

  CompileClient client_;
  std::atomic<bool> runs_{false}, end_{false}, ended_{false};
  std::atomic<int> slices_{0}, done_{0};
  Status status_;
  std::thread thread_;
};

void Settle() { std::this_thread::sleep_for(milliseconds(60)); }

// Is in the queue, or has its turn, once it is made.
struct Queued : Compilation {
  Queued(CompileQueue& queue, std::string name) : Compilation(queue, std::move(name)) { Settle(); }
};

TEST(CompileQueueTest, RunsAFewAtOnceAndCountsTheirWork) {
  CompileQueue queue({.at_once = 2, .waiting = 16});
  Compilation a(queue, "a"), b(queue, "b");
  ASSERT_TRUE(a.Runs() && b.Runs());
  Queued c(queue, "c");
  EXPECT_FALSE(c.runs());
  a.Slice();
  Settle();
  EXPECT_TRUE(c.runs());  // between two slices a made way for who had less
  EXPECT_TRUE(c.End());
  EXPECT_TRUE(a.End());
  EXPECT_TRUE(b.End());
  EXPECT_EQ(a.work(), WorkMeter::kSlice);
  EXPECT_EQ(b.work(), 0u);
}

TEST(CompileQueueTest, WhoWasServedLeastComesFirst) {
  CompileQueue queue({.at_once = 1, .waiting = 16});
  Compilation other(queue, "other");
  ASSERT_TRUE(other.Runs());
  Queued large(queue, "large");
  other.Slice();
  ASSERT_TRUE(large.Runs());
  large.Slice();  // one each
  large.Slice();  // now large has more
  Settle();
  // Another one of the same client waits behind one of a new client that came later.
  Queued again(queue, "large"), small(queue, "small");
  EXPECT_TRUE(other.End());
  EXPECT_TRUE(small.Runs());
  EXPECT_FALSE(again.runs());
  EXPECT_TRUE(small.End());
  EXPECT_TRUE(large.End());
  EXPECT_TRUE(again.Runs());
  EXPECT_TRUE(again.End());
}

TEST(CompileQueueTest, EndsForWhomNobodyWaits) {
  std::atomic<bool> gone{false}, stopping{false};
  CompileQueue queue({.at_once = 1, .waiting = 16, .stopping = [&] { return stopping.load(); }});
  {
    Compilation leaves(queue, "a", {.gone = [&] { return gone.load(); }});
    ASSERT_TRUE(leaves.Runs());
    Compilation waits(queue, "b", {.gone = [&] { return gone.load(); }});
    Settle();
    gone = true;
    ASSERT_TRUE(waits.Ended());  // without a turn
    EXPECT_EQ(waits.status().error().kind, ErrorKind::kCancelled);
    leaves.Slice();
    ASSERT_TRUE(leaves.Ended());  // in the midst
    EXPECT_EQ(leaves.status().error().kind, ErrorKind::kCancelled);
  }
  {
    const auto soon = std::chrono::steady_clock::now() + milliseconds(50);
    Compilation late(queue, "a", {.deadline = soon});
    ASSERT_TRUE(late.Runs());
    Settle();
    late.Slice();
    ASSERT_TRUE(late.Ended());
    EXPECT_EQ(late.status().error().kind, ErrorKind::kDeadlineExceeded);
  }
  Compilation last(queue, "a");
  ASSERT_TRUE(last.Runs());
  stopping = true;
  last.Slice();
  ASSERT_TRUE(last.Ended());
  EXPECT_EQ(last.status().error().kind, ErrorKind::kUnavailable);
}

TEST(CompileQueueTest, ABurstShutsOutItsSender) {
  CompileQueue queue({.at_once = 1, .waiting = 2});
  Compilation running(queue, "burst");
  ASSERT_TRUE(running.Runs());
  Queued first(queue, "burst"), second(queue, "burst");
  Compilation third(queue, "burst");
  ASSERT_TRUE(third.Ended());
  EXPECT_EQ(third.status().error().kind, ErrorKind::kOverloaded);
  EXPECT_GT(third.status().error().retry_after_s, 0);
  Compilation other(queue, "other");
  ASSERT_TRUE(second.Ended());  // makes way
  EXPECT_EQ(second.status().error().kind, ErrorKind::kOverloaded);
  running.Slice();
  ASSERT_TRUE(other.Runs());  // had less
  EXPECT_TRUE(other.End());
  EXPECT_TRUE(running.End());
  EXPECT_TRUE(first.End());
}

TEST(CompileQueueTest, AnErrorAndAnExceptionGiveTheTurnBack) {
  CompileQueue queue({.at_once = 1, .waiting = 2});
  CompileClient client{"a"};
  const Status failed =
      queue.Run(client, [](WorkMeter&) { return Fail(ErrorKind::kInvalidArgument, "no grammar"); });
  EXPECT_EQ(failed.error().message, "no grammar");
  EXPECT_THROW(
      static_cast<void>(queue.Run(client, [](WorkMeter&) -> Status { throw std::bad_alloc(); })),
      std::bad_alloc);
  const Status endless = queue.Run(client, [](WorkMeter& meter) -> Status {
    for (;;) TRY_OK(meter.Spend(1000));
  });
  EXPECT_EQ(endless.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(endless.error().message, testing::HasSubstr("too much work"));
  EXPECT_TRUE(queue.Run(client, [](WorkMeter&) { return Status(); }));
}

}  // namespace
}  // namespace lockstep
