#include "server/models/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Clock = Supervisor::Clock;

constexpr milliseconds kSoon{10'000};

// Children are shells. Each gets ready, and goes on until it is told to end, unless its model is
// one of those that do otherwise.
class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    options_.memory = 100;
    options_.patience = milliseconds(100);
    options_.need = [](const CatalogModel& model) -> Result<size_t> {
      if (model.bytes > 100) return Fail(ErrorKind::kInvalidArgument, "memory does not suffice");
      return model.bytes;
    };
    options_.start = [](const CatalogModel& model, size_t) {
      std::string script = "echo >&4; exec sleep 600";
      if (model.name == "bad") script = "exit 3";
      if (model.name == "stubborn") script = "trap '' TERM; echo >&4; while :; do sleep 1; done";
      return StartChild("/bin/sh", {"-c", script});
    };
    options_.tell = [this](const CatalogModel& model, const std::string& what, bool) {
      told_.push_back(model.name + " " + what);
    };
  }

  static CatalogModel Model(const std::string& name, uint64_t bytes = 60) {
    CatalogModel model;
    model.name = name;
    model.bytes = bytes;
    return model;
  }
  void Start() { supervisor_.emplace(options_); }
  Result<Supervisor::Lease> Acquire(const CatalogModel& model) {
    return supervisor_->Acquire(model, Clock::now() + kSoon, [] { return false; });
  }
  ModelState State(const std::string& name) { return supervisor_->StatusOf(name).state; }
  bool Eventually(const std::function<bool()>& condition) {
    const auto end = Clock::now() + kSoon;
    while (!condition() && Clock::now() < end) std::this_thread::sleep_for(milliseconds(5));
    return condition();
  }

  SupervisorOptions options_;
  std::vector<std::string> told_;
  std::optional<Supervisor> supervisor_;  // destroyed first: its thread tells
};

TEST_F(SupervisorTest, StartsOneProcessForAllWhoAsk) {
  Start();
  std::vector<std::thread> threads;
  std::atomic<size_t> had = 0;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      if (Acquire(Model("a"))) ++had;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(had, 16U);
  const ModelStatus status = supervisor_->StatusOf("a");
  EXPECT_EQ(status.loads, 1U);
  EXPECT_EQ(status.requests, 16U);
  EXPECT_EQ(status.memory, 60U);
}

TEST_F(SupervisorTest, WhereAFileIsIsForTheLogAlone) {
  options_.need = [](const CatalogModel& model) -> Result<size_t> {
    return Fail(ErrorKind::kBadFile, model.path + ": it is cut; " + model.path);
  };
  Start();
  CatalogModel model = Model("cut");
  model.path = "/srv/models/cut.gguf";
  const auto had = Acquire(model);
  ASSERT_FALSE(had);
  EXPECT_EQ(had.error().message, "cut.gguf: it is cut; cut.gguf");
  supervisor_.reset();
  EXPECT_THAT(told_.at(0), HasSubstr("/srv/models/cut.gguf: it is cut"));
}

TEST_F(SupervisorTest, EndsTheLeastRecentlyUsedThatIsIdle) {
  Start();
  for (const char* name : {"a", "b", "a", "c"}) {
    ASSERT_TRUE(Acquire(Model(name, 40))) << name;
  }
  EXPECT_EQ(State("a"), ModelState::kLoaded);
  EXPECT_EQ(State("b"), ModelState::kUnloaded);
  EXPECT_EQ(State("c"), ModelState::kLoaded);
}

TEST_F(SupervisorTest, OneInUseStaysUntilItIsReleasedAndGetsNoMoreThen) {
  Start();
  auto lease = Acquire(Model("a"));
  ASSERT_TRUE(lease);
  std::optional<Supervisor::Lease> held(*std::move(lease));
  std::thread other([&] { EXPECT_TRUE(Acquire(Model("b"))); });
  // Past its patience the other one gates it: new requests wait, and the old one goes on.
  std::this_thread::sleep_for(milliseconds(400));
  EXPECT_EQ(State("a"), ModelState::kLoaded);
  EXPECT_EQ(State("b"), ModelState::kUnloaded);
  const auto late =
      supervisor_->Acquire(Model("a"), Clock::now() + milliseconds(50), [] { return false; });
  EXPECT_FALSE(late);
  held.reset();
  other.join();
  EXPECT_EQ(State("a"), ModelState::kUnloaded);
  EXPECT_TRUE(Acquire(Model("a")));
}

TEST_F(SupervisorTest, WhatNeverFitsIsRefusedAndOthersGoOn) {
  Start();
  const auto refused = Acquire(Model("huge", 101));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_TRUE(Acquire(Model("a")));
}

TEST_F(SupervisorTest, AFailedStartIsTheRequestsErrorAndHasAPause) {
  Start();
  const auto failed = Acquire(Model("bad"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message,
            "the process of the model \"bad\" ended while it loaded with exit code 3; the "
            "server's log says why");
  const auto again = Acquire(Model("bad"));
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("again and again"));
  EXPECT_GT(again.error().retry_after_s, 0);
  EXPECT_EQ(supervisor_->StatusOf("bad").failures, 1U);
  EXPECT_EQ(supervisor_->StatusOf("bad").exit_code, 3);
}

TEST_F(SupervisorTest, AProcessThatDiedIsStartedAgain) {
  Start();
  ASSERT_TRUE(Acquire(Model("a")));
  const pid_t pid = supervisor_->StatusOf("a").pid;
  kill(pid, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return State("a") == ModelState::kUnloaded; }));
  EXPECT_EQ(supervisor_->StatusOf("a").exit_code, 128 + SIGKILL);
  ASSERT_TRUE(Acquire(Model("a")));
  EXPECT_NE(supervisor_->StatusOf("a").pid, pid);
  supervisor_.reset();
  EXPECT_THAT(told_, testing::Contains("a has ended: the process of the model \"a\" was killed by "
                                       "signal 9, as the kernel does when memory runs out"));
}

TEST_F(SupervisorTest, OneThatIsEndingIsNotThere) {
  options_.end_timeout = milliseconds(100);
  Start();
  EXPECT_FALSE(supervisor_->IsThere("stubborn"));
  ASSERT_TRUE(Acquire(Model("stubborn")));
  EXPECT_TRUE(supervisor_->IsThere("stubborn"));
  EXPECT_TRUE(supervisor_->Unload("stubborn"));
  EXPECT_FALSE(supervisor_->IsThere("stubborn"));  // also before its process has ended
  EXPECT_TRUE(Eventually([&] { return State("stubborn") == ModelState::kUnloaded; }));
  EXPECT_FALSE(supervisor_->IsThere("stubborn"));
}

TEST_F(SupervisorTest, WhoLeavesOrIsTooLateWaitsNoLonger) {
  Start();
  const auto lease = Acquire(Model("a"));
  const auto gone = supervisor_->Acquire(Model("b"), Clock::now() + kSoon, [] { return true; });
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::kCancelled);
  const auto late =
      supervisor_->Acquire(Model("b"), Clock::now() + milliseconds(30), [] { return false; });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kUnavailable);
}

TEST_F(SupervisorTest, NoMoreThanSoManyRequestsOfAModel) {
  options_.most_used = 1;
  Start();
  const auto lease = Acquire(Model("a"));
  ASSERT_TRUE(lease);
  EXPECT_EQ(Acquire(Model("a")).error().kind, ErrorKind::kOverloaded);
}

TEST_F(SupervisorTest, KeepAliveEndsItWhenItIsOver) {
  Start();
  {
    auto lease = Acquire(Model("a"));
    ASSERT_TRUE(lease);
    lease->KeepAlive(milliseconds(100));
  }
  EXPECT_EQ(State("a"), ModelState::kLoaded);
  EXPECT_TRUE(Eventually([&] { return State("a") == ModelState::kUnloaded; }));
}

TEST_F(SupervisorTest, LoadsAndUnloadsByItself) {
  Start();
  ASSERT_TRUE(supervisor_->Load(Model("a")));
  ASSERT_TRUE(Eventually([&] { return State("a") == ModelState::kLoaded; }));
  EXPECT_TRUE(supervisor_->Unload("a"));
  EXPECT_TRUE(Eventually([&] { return State("a") == ModelState::kUnloaded; }));
  EXPECT_FALSE(supervisor_->Unload("a"));
  EXPECT_FALSE(supervisor_->Unload("b"));
}

TEST_F(SupervisorTest, StopEndsAllAndKillsWhoDoesNot) {
  Start();
  ASSERT_TRUE(Acquire(Model("a", 10)));
  ASSERT_TRUE(Acquire(Model("stubborn", 10)));
  const pid_t pid = supervisor_->StatusOf("stubborn").pid;
  EXPECT_FALSE(supervisor_->Stop(milliseconds(200)));
  EXPECT_NE(kill(pid, 0), 0);
  const auto refused = Acquire(Model("a"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry_after_s, 1);  // as a model's own process says it
  EXPECT_EQ(supervisor_->Load(Model("a")).error().retry_after_s, 1);
}

}  // namespace
}  // namespace lockstep
