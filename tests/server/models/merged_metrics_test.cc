#include "server/models/merged_metrics.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

TEST(MergedMetrics, HasEachFamilyOnceWithEachModelsSeries) {
  const std::vector<ModelMetrics> models = {
      {"a",
       "# HELP n Requests.\n# TYPE n counter\nn 1\n"
       "# HELP t Times.\n# TYPE t histogram\nt_bucket{le=\"1\"} 2\nt_sum 0.5\nt_count 2\n"},
      {"b",
       "# HELP t Times.\n# TYPE t histogram\nt_bucket{le=\"1\"} 3\nt_sum 1.5\nt_count 3\n"
       "# HELP n Requests.\n# TYPE n counter\nn 4\n# HELP m More.\n# TYPE m gauge\nm 5\n"}};
  EXPECT_EQ(MergedMetrics("# HELP own Own.\n# TYPE own gauge\nown{model=\"a\"} 1\n", models),
            "# HELP own Own.\n# TYPE own gauge\nown{model=\"a\"} 1\n"
            "# HELP n Requests.\n# TYPE n counter\nn{model=\"a\"} 1\nn{model=\"b\"} 4\n"
            "# HELP t Times.\n# TYPE t histogram\n"
            "t_bucket{model=\"a\",le=\"1\"} 2\nt_sum{model=\"a\"} 0.5\nt_count{model=\"a\"} 2\n"
            "t_bucket{model=\"b\",le=\"1\"} 3\nt_sum{model=\"b\"} 1.5\nt_count{model=\"b\"} 3\n"
            "# HELP m More.\n# TYPE m gauge\nm{model=\"b\"} 5\n");
}

// The one line of a family that a series becomes.
std::string Series(const std::string& line, const std::string& model = "x") {
  const std::string heads = "# HELP n N.\n# TYPE n gauge\n";
  const std::string text = MergedMetrics({}, std::vector<ModelMetrics>{{model, heads + line}});
  return text.substr(heads.size());
}

TEST(MergedMetrics, NamesTheModelAmongWhateverLabels) {
  EXPECT_EQ(Series("n 1\n"), "n{model=\"x\"} 1\n");
  EXPECT_EQ(Series("n{} 1"), "n{model=\"x\"} 1\n");
  EXPECT_EQ(Series("n{a=\"b\"} 1e-05 123\n"), "n{model=\"x\",a=\"b\"} 1e-05 123\n");
  // It is the parent's name that counts: two models may be of one file.
  EXPECT_EQ(Series("n{a=\"b\",model=\"file\",c=\"d\"} 1\n"), "n{model=\"x\",a=\"b\",c=\"d\"} 1\n");
  EXPECT_EQ(Series("n{model_name=\"file\"} 1\n"), "n{model=\"x\",model_name=\"file\"} 1\n");
  EXPECT_EQ(Series("n{a=\"\\\"},model=\\\\\",b=\"}\"} 1\n"),
            "n{model=\"x\",a=\"\\\"},model=\\\\\",b=\"}\"} 1\n");
  EXPECT_EQ(Series("n 1\n", "a\"b\\c\nd"), "n{model=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(MergedMetrics, WhatIsNoFormatBreaksNothing) {
  for (const char* text :
       {"", "\n\n", "n 1\n", "#", "# ", "# HELP", "# HELP ", "# TYPE n gauge\nn{",
        "# TYPE n gauge\nn{a", "# TYPE n gauge\nn{a=\"", "# TYPE n gauge\nn{a=\"\\"}) {
    MergedMetrics(text, std::vector<ModelMetrics>{{"x", text}});
  }
  // Of a series without heads nothing says what it is.
  EXPECT_EQ(MergedMetrics("n 1\n", {}), "");
}

}  // namespace
}  // namespace lockstep
