#include "server/generation_service.h"

#include <ctime>
#include <utility>

namespace lockstep {

SchedulerService::SchedulerService(const Model& model, Scheduler& scheduler, size_t context)
    : model_(model),
      scheduler_(scheduler),
      served_{model.name, model.fingerprint, model.tokenizer.vocab_size(), context,
              static_cast<int64_t>(std::time(nullptr))} {}

std::vector<int32_t> SchedulerService::Encode(std::string_view text) const {
  return model_.tokenizer.Encode(text, /*add_special=*/true);
}

std::string SchedulerService::Decode(std::span<const int32_t> tokens) const {
  return model_.tokenizer.Decode(tokens);
}

std::string_view SchedulerService::TokenBytes(int32_t token) const {
  return model_.tokenizer.TokenBytes(token);
}

std::string_view SchedulerService::TokenName(int32_t token) const {
  return model_.tokenizer.TokenText(token);
}

bool SchedulerService::IsControl(int32_t token) const { return model_.tokenizer.IsControl(token); }

bool SchedulerService::IsEndOfGeneration(int32_t token) const {
  return model_.tokenizer.IsEndOfGeneration(token);
}

std::string_view SchedulerService::chat_template() const { return model_.chat_template; }

Status SchedulerService::Submit(GenerationRequest request) {
  return scheduler_.Submit(std::move(request));
}

SchedulerState SchedulerService::state() const { return scheduler_.state(); }

}  // namespace lockstep
