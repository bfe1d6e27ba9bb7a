// What the server counts, and its Prometheus text format. Thread-safe; counting takes a few hundred
// nanoseconds and never waits for a scrape of the scheduler.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/memory_budget.h"
#include "core/engine/encode_scheduler.h"
#include "core/engine/scheduler.h"
#include "server/generation/generation_service.h"
#include "server/http/http_types.h"

namespace prometheus {
struct MetricFamily;
}

namespace lockstep {

class EncodeMetrics;

class Metrics : public SchedulerObserver {
 public:
  static constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

  // `vllm_names`: also under the names that vLLM has for the same, which gateways and dashboards
  // know. `dropped_log_lines` counts since the start of the process; without it nothing is said of
  // the log.
  explicit Metrics(bool vllm_names = true, std::function<size_t()> dropped_log_lines = {});
  ~Metrics() override;

  void OnStep(const StepStats& step) override;
  void OnFirstToken(double seconds_since_submit) override;
  void OnNextToken(double seconds_since_last) override;
  void OnEnd(const JobStats& stats, FinishReason finish, const Error* error) override;
  // A request that was answered, over HTTP.
  void OnRequest(const RequestRecord& record);

  EncodeObserver& encoder();  // counts what becomes vectors

  // All of them now, under our own names. `service` is null while the model is loading, `memory`
  // where nothing bounds what requests hold.
  std::vector<prometheus::MetricFamily> Collect(const GenerationService* service,
                                                size_t loaded_percent,
                                                const MemoryBudget* memory = nullptr) const;
  // What Collect returns as Prometheus' text, with the names of other servers behind our own.
  std::string Render(const GenerationService* service, size_t loaded_percent,
                     const MemoryBudget* memory = nullptr) const;

 private:
  // It keeps prometheus-cpp out of the header, so that whoever counts need not compile it.
  struct Families;
  struct Served;

  std::vector<prometheus::MetricFamily> Collect(const Served& served, size_t loaded_percent,
                                                const MemoryBudget* memory) const;

  const std::unique_ptr<Families> families_;
  const std::unique_ptr<EncodeMetrics> encoder_;
  const bool vllm_names_;
  const std::function<size_t()> dropped_log_lines_;
};

}  // namespace lockstep
