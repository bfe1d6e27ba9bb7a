// Eight families of numbers that are there already: the library for the metrics of one model's
// server would keep each of them a second time.
#include "server/models/parent_metrics.h"

#include <fmt/format.h>

#include "server/models/merged_metrics.h"

namespace lockstep {

std::string MetricsText(size_t memory, const std::map<std::string, ModelStatus>& models) {
  std::string text = fmt::format(
      "# HELP lockstep_models_memory_bytes Memory for all models together.\n"
      "# TYPE lockstep_models_memory_bytes gauge\nlockstep_models_memory_bytes {}\n",
      memory);
  const auto family = [&](const char* name, const char* type, const char* help, const auto& value) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
    for (const auto& [model, status] : models) {
      text += fmt::format("{}{{model=\"{}\"}} {}\n", name, LabelValue(model), value(status));
    }
  };
  family("lockstep_model_loaded", "gauge", "1 where the model answers requests.",
         [](const ModelStatus& status) { return status.state == ModelState::kLoaded ? 1 : 0; });
  family("lockstep_model_memory_bytes", "gauge", "Memory that is planned for the model.",
         [](const ModelStatus& status) { return status.memory; });
  family("lockstep_model_requests_active", "gauge", "Requests that the model has.",
         [](const ModelStatus& status) { return status.uses; });
  family("lockstep_model_requests_total", "counter", "Requests that the model was given.",
         [](const ModelStatus& status) { return status.requests; });
  family("lockstep_model_loads_total", "counter", "Times that the model was loaded.",
         [](const ModelStatus& status) { return status.loads; });
  family("lockstep_model_failures_total", "counter",
         "Times that it could not be loaded, or its process ended by itself.",
         [](const ModelStatus& status) { return status.failures; });
  family("lockstep_model_metrics_missed_total", "counter",
         "Times that the model's own metrics did not come in time, and were left out.",
         [](const ModelStatus& status) { return status.missed_metrics; });
  return text;
}

}  // namespace lockstep
