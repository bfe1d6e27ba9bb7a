// What the HTTP handlers need of the core; tests put a fake in its place. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "core/scheduler.h"
#include "core/status.h"

namespace lockstep {

struct ServedModel {
  std::string name;
  std::string fingerprint;
  size_t vocab = 0;
  size_t context = 0;   // positions of a session
  int64_t created = 0;  // Unix time of loading
};

class GenerationService {
 public:
  virtual ~GenerationService() = default;
  virtual const ServedModel& model() const = 0;
  virtual std::vector<int32_t> Encode(std::string_view text) const = 0;
  virtual std::string Decode(std::span<const int32_t> tokens) const = 0;
  // The bytes that a token stands for; a control token stands for none, and has a name. REQUIRES:
  // 0 <= token < model().vocab, here and below.
  virtual std::string_view TokenBytes(int32_t token) const = 0;
  virtual std::string_view TokenName(int32_t token) const = 0;
  virtual bool IsControl(int32_t token) const = 0;
  virtual bool IsEndOfGeneration(int32_t token) const = 0;
  // The text of the model's chat template; empty if it has none.
  virtual std::string_view chat_template() const = 0;
  // As Scheduler::Submit.
  [[nodiscard]] virtual Status Submit(GenerationRequest request) = 0;
  virtual SchedulerState state() const = 0;
};

// The real one. The model and the scheduler must outlive it.
class SchedulerService : public GenerationService {
 public:
  SchedulerService(const Model& model, Scheduler& scheduler, size_t context);

  const ServedModel& model() const override { return served_; }
  std::vector<int32_t> Encode(std::string_view text) const override;
  std::string Decode(std::span<const int32_t> tokens) const override;
  std::string_view TokenBytes(int32_t token) const override;
  std::string_view TokenName(int32_t token) const override;
  bool IsControl(int32_t token) const override;
  bool IsEndOfGeneration(int32_t token) const override;
  std::string_view chat_template() const override;
  Status Submit(GenerationRequest request) override;
  SchedulerState state() const override;

 private:
  const Model& model_;
  Scheduler& scheduler_;
  const ServedModel served_;
};

}  // namespace lockstep
