#include "server/models/parent_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(ParentMetrics, HasALineForEachModelAndEscapesItsName) {
  ModelStatus loaded;
  loaded.state = ModelState::kLoaded;
  loaded.memory = 123;
  loaded.uses = 2;
  loaded.requests = 7;
  loaded.missed_metrics = 3;
  const std::string text = MetricsText(1000, {{"a", loaded}, {"quo\"te\\\n", ModelStatus()}});
  for (const char* line :
       {"lockstep_models_memory_bytes 1000\n", "# TYPE lockstep_model_loaded gauge\n",
        "lockstep_model_loaded{model=\"a\"} 1\n",
        "lockstep_model_loaded{model=\"quo\\\"te\\\\\\n\"} 0\n",
        "lockstep_model_memory_bytes{model=\"a\"} 123\n",
        "lockstep_model_requests_active{model=\"a\"} 2\n",
        "lockstep_model_requests_total{model=\"a\"} 7\n",
        "lockstep_model_failures_total{model=\"a\"} 0\n",
        "lockstep_model_metrics_missed_total{model=\"a\"} 3\n",
        "lockstep_model_metrics_missed_total{model=\"quo\\\"te\\\\\\n\"} 0\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace lockstep
