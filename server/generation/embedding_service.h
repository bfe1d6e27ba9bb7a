// What the HTTP handlers need of a model that makes vectors of texts; tests put a fake in its
// place. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/engine/encode_scheduler.h"
#include "core/model/model.h"
#include "server/generation/generation_service.h"

namespace lockstep {

class EmbeddingService {
 public:
  virtual ~EmbeddingService() = default;
  virtual const ServedModel& model() const = 0;  // its context is a text's
  virtual size_t dim() const = 0;                // values of a vector
  virtual size_t token_dim() const = 0;          // and of what a token becomes
  virtual std::string_view pooling() const = 0;  // "mean", "cls", "lasttoken", as TEI has it
  // Whether the model reads two texts at once and scores the second by the first: then there are no
  // vectors, and the first of dim() values is the score; a logit, or a probability as it is.
  virtual bool scores_pairs() const = 0;
  virtual bool scores_are_logits() const = 0;
  // A text as the model reads it, with what its file puts before and behind. Control tokens in it
  // are parsed, as the libraries do with which such models are trained and compared.
  virtual std::vector<int32_t> Encode(std::string_view text) const = 0;
  // Does what Tokenizer::EncodePair does.
  virtual TokenizedPair EncodePair(std::string_view query, std::string_view document,
                                   const PairLimits& limits) const = 0;
  virtual bool IsControl(int32_t token) const = 0;  // REQUIRES: 0 <= token < model().vocab
  // Does what EncodeScheduler::Submit does.
  [[nodiscard]] virtual Status Submit(EncodeJob job) = 0;
  virtual EncodeState state() const = 0;
  // The same model where only its tokens are asked for, as if it were served by itself.
  virtual GenerationService& alone() = 0;
};

// The real one. The model and the scheduler must outlive it.
class ModelEmbeddingService : public EmbeddingService {
 public:
  ModelEmbeddingService(const Model& model, EncodeScheduler& scheduler);

  const ServedModel& model() const override { return served_; }
  size_t dim() const override { return model_.config().outputs(); }
  size_t token_dim() const override { return model_.config().dim; }
  std::string_view pooling() const override;
  bool scores_pairs() const override { return model_.config().scores_pairs(); }
  bool scores_are_logits() const override { return !model_.config().head.probabilities; }
  std::vector<int32_t> Encode(std::string_view text) const override;
  TokenizedPair EncodePair(std::string_view query, std::string_view document,
                           const PairLimits& limits) const override {
    return model_.tokenizer.EncodePair(query, document, limits);
  }
  bool IsControl(int32_t token) const override { return model_.tokenizer.IsControl(token); }
  Status Submit(EncodeJob job) override { return scheduler_.Submit(std::move(job)); }
  EncodeState state() const override { return scheduler_.state(); }
  GenerationService& alone() override;

 private:
  const Model& model_;
  EncodeScheduler& scheduler_;
  const ServedModel served_;
  std::once_flag asked_alone_;
  std::unique_ptr<GenerationService> alone_;  // made when it is first asked for
};

// A model that encodes, in the place of one that generates: it answers what is asked of any model,
// and says what it is where something is to be generated.
class EncoderService : public ModelService {
 public:
  // Both must outlive it.
  EncoderService(const Model& model, EmbeddingService& embeddings);

  Status Submit(Job job) override;
  SchedulerState state() const override;
  EmbeddingService* embeddings() const override { return &embeddings_; }

 private:
  EmbeddingService& embeddings_;
};

}  // namespace lockstep
