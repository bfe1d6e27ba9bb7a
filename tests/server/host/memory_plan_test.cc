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

MemoryNeeds Needs() {  // 100 MiB of model, 400 MiB of sessions, 200 MiB of prefixes
  MemoryNeeds needs;
  needs.model_bytes = 100 * kMib;
  needs.sessions = 4;
  needs.context = 1600;
  needs.token_bytes = kMib / 16;
  needs.prefix_bytes = 200 * kMib;
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

TEST(MemoryPlan, TheLeastLimitCounts) {
  const fs::path root = fs::path(testing::TempDir()) / ("memory" + std::to_string(getpid()));
  fs::create_directories(root / "cgroup/pod/box");
  fs::create_directories(root / "cgroup/memory/m");
  const auto write = [&root](const char* path, const char* text) {
    std::ofstream(root / path) << text << "\n";
  };
  const auto find = [&root] {
    return FindMemoryLimit({root / "cgroup", root / "self"}, root / "meminfo");
  };
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
