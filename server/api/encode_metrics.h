// What is counted of texts that become vectors, as families of Prometheus' client library.
// Thread-safe.
#pragma once

#include <prometheus/metric_family.h>

#include <memory>
#include <vector>

#include "core/engine/encode_scheduler.h"
#include "server/generation/embedding_service.h"

namespace lockstep {

class EncodeMetrics : public EncodeObserver {
 public:
  EncodeMetrics();
  ~EncodeMetrics() override;

  void OnEncodeStep(size_t texts, size_t tokens, double seconds) override;
  void OnEncodeEnd(const EncodeStats& stats, const Error* error) override;

  // All of them now, and what waits. Nothing where there is no model that encodes.
  void AddTo(std::vector<prometheus::MetricFamily>& all, const EmbeddingService* service) const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace lockstep
