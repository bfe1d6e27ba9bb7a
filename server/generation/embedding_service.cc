// Straight calls into the model and its scheduler.
#include "server/generation/embedding_service.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/generation/grammar_cache.h"

namespace lockstep {
namespace {

// Files do not say how a model was trained. Of these families the models in use, or some of them,
// were trained with Matryoshka's loss (Kusupati et al., 2022).
constexpr std::array kCutFamilies = {
    std::string_view("nomic-bert"),      std::string_view("nomic-bert-moe"),
    std::string_view("jina-bert-v3"),    std::string_view("modern-bert"),
    std::string_view("gemma-embedding"), std::string_view("gemma-embedding2"),
    std::string_view("eurobert"),        std::string_view("qwen3"),
    std::string_view("llama-embed"),
};

}  // namespace

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

bool ModelEmbeddingService::may_be_cut() const {
  return std::ranges::find(kCutFamilies, model_.config().architecture) != kCutFamilies.end();
}

std::vector<int32_t> ModelEmbeddingService::Encode(std::string_view text) const {
  return model_.tokenizer.Encode(text, /*add_special=*/true, SpecialTokens::kParse);
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
