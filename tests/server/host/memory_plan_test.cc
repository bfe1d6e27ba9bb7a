#include "server/host/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr size_t kMib = size_t{1} << 20;

// 100 MiB of model, 400 MiB of sessions, 200 MiB of prefixes, 60 MiB for the rest.
MemoryNeeds Needs() {
  MemoryNeeds needs;
  needs.model_bytes = 100 * kMib;
  needs.other_bytes = 20 * kMib;
  needs.request_bytes = 40 * kMib;
  needs.sessions = 4;
  needs.context = 1600;
  needs.model_context = 40'000;
  needs.whole_sessions = true;
  needs.token_bytes = needs.session_kv.position_bytes = kMib / 16;
  needs.prefix_bytes = 200 * kMib;
  return needs;
}

// Nothing was asked for.
MemoryNeeds Defaults() {
  MemoryNeeds needs = Needs();
  needs.context = 0;
  needs.whole_sessions = false;
  return needs;
}

MemoryLimit Mib(size_t mib) { return {mib * kMib, "memory.max"}; }

TEST(MemoryPlan, FitsOrShrinksThePrefixCache) {
  const auto roomy = PlanMemory(Needs(), Mib(2000));
  ASSERT_TRUE(roomy.has_value());
  EXPECT_EQ(roomy->session_bytes, 400 * kMib);
  EXPECT_EQ(roomy->prefix_bytes, 200 * kMib);
  EXPECT_NEAR(static_cast<double>(roomy->budget_bytes), 1600.0 * kMib, kMib);

  const auto tight = PlanMemory(Needs(), Mib(850));
  ASSERT_TRUE(tight.has_value()) << tight.error().message;
  EXPECT_GT(tight->prefix_bytes, 0u);
  EXPECT_LT(tight->prefix_bytes, 200 * kMib);
  EXPECT_EQ(tight->total_bytes(), tight->budget_bytes);

  MemoryNeeds fixed = Needs();
  fixed.prefix_fixed = true;
  EXPECT_FALSE(PlanMemory(fixed, Mib(850)).has_value());
}

TEST(MemoryPlan, KvMemoryIsALimitOfItsOwn) {
  MemoryNeeds needs = Needs();
  needs.kv_bytes = 450 * kMib;
  EXPECT_EQ(PlanMemory(needs, Mib(8000))->prefix_bytes, 50 * kMib);
  needs.kv_bytes = 399 * kMib;
  const auto refused = PlanMemory(needs, Mib(8000));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("--kv-memory"));
}

TEST(MemoryPlan, ARefusalShowsTheSumAndWhatToLower) {
  MemoryNeeds needs = Needs();
  const auto refused = PlanMemory(needs, Mib(500));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  for (const char* part : {"100.0 MiB for the model", "4 sessions x 1600 tokens", "400.0 MiB",
                           "80% of 500.0 MiB", "memory.max", "--sessions", "2 fit"}) {
    EXPECT_THAT(refused.error().message, HasSubstr(part));
  }
  needs.chosen = true;
  EXPECT_EQ(PlanMemory(needs, Mib(500)).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(PlanMemory(needs, Mib(100)).error().message, HasSubstr("smaller model"));
}

TEST(MemoryPlan, ARefusalNamesTheFlagThatHasMost) {
  MemoryNeeds needs = Needs();
  needs.other_bytes = 900 * kMib;
  needs.other_flags = {{"--sessions", 50 * kMib}, {"--queue", 700 * kMib}, {"--threads", 9}};
  const std::string queue = PlanMemory(needs, Mib(1000)).error().message;
  EXPECT_THAT(queue, HasSubstr("; lower --queue, which has 700.0 MiB of the rest"));
  EXPECT_THAT(queue, testing::Not(HasSubstr("--memory")));
  needs.other_flags[1].second = 300 * kMib;  // the sessions' keys and values have 400
  const MemoryLimit given = {1000 * kMib, "--memory"};
  const std::string context = PlanMemory(needs, given).error().message;
  EXPECT_THAT(context, HasSubstr("; lower --context"));
  EXPECT_THAT(context, testing::EndsWith("; or raise --memory"));
}

TEST(MemoryPlan, TheContextIsTheModelsWhereThereIsRoom) {
  const auto plan = PlanMemory(Defaults(), Mib(40'000)).value();
  EXPECT_EQ(plan.context, 40'000u);
  EXPECT_EQ(plan.session_bytes, 4 * 2500 * kMib);
  EXPECT_EQ(plan.prefix_bytes, 2500 * kMib);  // one whole context
}

TEST(MemoryPlan, SessionsShareWhatOneContextLeaves) {
  const auto plan = PlanMemory(Defaults(), Mib(10'000)).value();  // a budget of 8000
  EXPECT_EQ(plan.context, 40'000u);
  EXPECT_EQ(plan.prefix_bytes, 2500 * kMib);
  EXPECT_NEAR(static_cast<double>(plan.session_bytes), (8000 - 160 - 2500) * 1.0 * kMib, kMib);
  EXPECT_LE(plan.total_bytes(), plan.budget_bytes);
  MemoryNeeds asked = Defaults();
  asked.context = 40'000;
  EXPECT_EQ(PlanMemory(asked, Mib(10'000)).value().session_bytes, plan.session_bytes);
  asked.whole_sessions = true;
  EXPECT_FALSE(PlanMemory(asked, Mib(10'000)));
}

TEST(MemoryPlan, AContextThatDoesNotFitIsMadeSmaller) {
  const auto half = PlanMemory(Defaults(), Mib(2000)).value();  // a budget of 1600
  EXPECT_NEAR(static_cast<double>(half.context), (1600 - 160) / 2 * 16, 64);
  EXPECT_GE(half.session_bytes, half.context * (kMib / 16));
  EXPECT_GE(half.prefix_bytes, half.context * (kMib / 16));
  EXPECT_LE(half.total_bytes(), half.budget_bytes);
  const auto small = PlanMemory(Defaults(), Mib(300)).value();  // of 240: 80 for keys and values
  EXPECT_NEAR(static_cast<double>(small.context), 80 * 16, 64);
  EXPECT_EQ(PlanMemory(Defaults(), Mib(190)).error().kind, ErrorKind::kUnavailable);
}

TEST(MemoryPlan, ASlidingWindowLeavesMoreToTheContext) {
  MemoryNeeds needs = Defaults();
  needs.session_kv = {kMib / 64, kMib * 3 / 64, 1024};
  needs.prefix_bytes = 0;
  needs.prefix_fixed = true;
  const auto plan = PlanMemory(needs, Mib(1000)).value();  // 640 for keys and values
  EXPECT_NEAR(static_cast<double>(plan.context), (640 - 48) * 64, 64);
}

TEST(MemoryPlan, WhereAddressesAreLimitedNothingIsShared) {
  MemoryLimit limit = Mib(10'000);
  limit.of_addresses = true;
  const auto plan = PlanMemory(Defaults(), limit).value();
  EXPECT_GE(plan.session_bytes, 4 * plan.context * (kMib / 16));
  EXPECT_LE(plan.total_bytes(), plan.budget_bytes);
}

TEST(MemoryPlan, ADraftModelsCachesTakeNothingThatAnswersNeed) {
  MemoryNeeds needs = Needs();
  needs.draft_caches = 4;
  needs.draft_cache_bytes = 50 * kMib;
  const auto roomy = PlanMemory(needs, Mib(2000)).value();
  EXPECT_EQ(roomy.draft_caches, 4u);
  EXPECT_EQ(roomy.draft_bytes, 200 * kMib);
  EXPECT_EQ(roomy.session_bytes, 400 * kMib);
  // A quarter of what the models leave; where the sessions need it, nothing.
  const auto tight = PlanMemory(needs, Mib(850)).value();  // a budget of 680
  EXPECT_EQ(tight.draft_caches, 2u);
  EXPECT_EQ(tight.draft_bytes, 100 * kMib);
  EXPECT_LE(tight.total_bytes(), tight.budget_bytes);
  const auto none = PlanMemory(needs, Mib(710)).value();  // of 568
  EXPECT_EQ(none.draft_caches, 0u);
  EXPECT_EQ(none.session_bytes, 400 * kMib);
}

TEST(MemoryPlan, RequestsGetAShare) {
  MemoryNeeds needs = Defaults();
  needs.request_bytes = 0;
  EXPECT_EQ(PlanMemory(needs, Mib(10'000)).value().request_bytes, 256 * kMib);
  EXPECT_EQ(PlanMemory(needs, Mib(300)).value().request_bytes, 32 * kMib);
}

TEST(MemoryPlan, TheLeastLimitCounts) {
  const fs::path root = fs::path(testing::TempDir()) / ("memory" + std::to_string(getpid()));
  fs::create_directories(root / "cgroup/pod/box");
  fs::create_directories(root / "cgroup/memory/m");
  const auto write = [&root](const char* path, const char* text) {
    std::ofstream(root / path) << text << "\n";
  };
  const auto find = [&root] { return FindMemoryLimit({root / "cgroup", root / "self"}, root); };
  write("self", "5:memory:/m\n0::/pod/box");
  EXPECT_EQ(find().source, "no limit");
  write("meminfo", "MemTotal:       9000 kB\nMemFree:  70 kB\nMemAvailable:   8000 kB");
  EXPECT_EQ(find().bytes, 8000u * 1024);
  write("cgroup/pod/box/memory.max", "max");
  write("cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(find().source, "MemAvailable");
  write("cgroup/pod/memory.max", "5000000");
  EXPECT_EQ(find().bytes, 5000000u);
  write("cgroup/memory/m/memory.limit_in_bytes", "4000000");
  EXPECT_EQ(find().source, "memory.limit_in_bytes");
  fs::remove_all(root);
}

}  // namespace
}  // namespace lockstep
