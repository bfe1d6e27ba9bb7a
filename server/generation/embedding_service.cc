// Straight calls into the model and its scheduler: what stands between is an interface only so that
// tests of the API can put a model of their own in its place.
#include "server/generation/embedding_service.h"

#include <utility>

#include "server/generation/grammar_cache.h"

namespace lockstep {
ModelEmbeddingService::ModelEmbeddingService(const Model& model, EncodeScheduler& scheduler)
    : model_(model),
      scheduler_(scheduler),
      served_(DescribeModel(model, model.fingerprint, scheduler.context())) {}

std::string_view ModelEmbeddingService::pooling() const {
  switch (model_.config().pooling) {
    case Pooling::kFirst:
      return "cls";
    case Pooling::kLast:
      return "lasttoken";
    case Pooling::kMean:
      return "mean";
    case Pooling::kRank:
      return "rank";
    default:
      return "none";
  }
}

std::vector<int32_t> ModelEmbeddingService::Encode(std::string_view text) const {
  return model_.tokenizer.Encode(text, /*add_special=*/true, SpecialTokens::kParse);
}

GenerationService& ModelEmbeddingService::alone() {
  std::call_once(asked_alone_,
                 [this] { alone_ = std::make_unique<EncoderService>(model_, *this); });
  return *alone_;
}

EncoderService::EncoderService(const Model& model, EmbeddingService& embeddings)
    : ModelService(model, embeddings.model(), CompileLimits{1, 1, [] { return false; }}, nullptr),
      embeddings_(embeddings) {}

Status EncoderService::Submit(Job) { return tl::unexpected(GeneratesNothing(model())); }

SchedulerState EncoderService::state() const {
  const EncodeState encoder = embeddings_.state();
  SchedulerState state;
  state.queued = encoder.queued, state.queued_tokens = encoder.queued_tokens;
  state.running = encoder.running;
  state.predicted_wait_s = encoder.predicted_wait_s;
  state.draining = encoder.draining, state.stalled = encoder.stalled;
  return state;
}

}  // namespace lockstep
