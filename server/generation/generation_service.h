// What the HTTP handlers need of the core; tests put a fake in its place. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/engine/scheduler.h"
#include "core/model/model.h"
#include "server/generation/chat_model.h"

namespace lockstep {

class EmbeddingService;
class GrammarCache;
struct CompileLimits;

struct ServedModel {
  std::string name;         // the file's, without its ending; of the embedded model, general.name
  std::string fingerprint;  // of all that makes an answer: Model's, and the type of the KV cache
  size_t vocab = 0;
  size_t context = 0;          // positions of a session
  int64_t created = 0;         // Unix time of loading
  bool chat = false;           // it has a usable chat template
  std::string title;           // general.name
  ModelCard card = {};         // what its file says of it
  int32_t bos = -1, eos = -1;  // -1: the vocabulary names none
  bool adds_bos = false;       // before each text
  FillTokens fill = {};        // by which gaps in texts are marked; none where it has none
  bool encodes = false;        // it makes vectors of texts, and generates nothing
  bool scores_pairs = false;   // it encodes, and gives a pair of texts a score instead of vectors
  int32_t pad = -1;            // as bos
};

// Describes a loaded model as it is served: its name, its card, and what follows from them.
ServedModel DescribeModel(const Model& model, std::string answer_id, size_t context);
// In a sentence about a model that encodes: "makes vectors of texts".
std::string_view WhatEncoderDoes(const ServedModel& model);
// What it can do, in one word for lists of models: "completion", "embedding" or "rerank".
std::string_view Capability(const ServedModel& model);
// What a client is told that asks a model that encodes for an answer.
Error GeneratesNothing(const ServedModel& model);

class GenerationService {
 public:
  virtual ~GenerationService() = default;
  virtual const ServedModel& model() const = 0;
  virtual std::vector<int32_t> Encode(std::string_view text) const = 0;
  // Does what Tokenizer::Encode does.
  virtual std::vector<int32_t> Encode(std::string_view text, bool add_special,
                                      SpecialTokens special) const = 0;
  virtual std::string Decode(std::span<const int32_t> tokens) const = 0;
  // The bytes that a token stands for; a control token stands for none, and has a name. REQUIRES:
  // 0 <= token < model().vocab, here and below.
  virtual std::string_view TokenBytes(int32_t token) const = 0;
  virtual std::string_view TokenText(int32_t token) const = 0;
  virtual bool IsControl(int32_t token) const = 0;
  virtual bool IsEndOfGeneration(int32_t token) const = 0;
  // How the model chats, or why it does not: what a client that sends messages is to be told.
  virtual const Result<ChatModel>& chat() const = 0;
  // A prompt of parts, in which only what is trusted can become control tokens.
  virtual std::vector<int32_t> Encode(const TrustedText& prompt) const = 0;
  virtual GrammarCache& grammars() const = 0;  // of the model's vocabulary
  // Does what Scheduler::Submit does.
  [[nodiscard]] virtual Status Submit(Job job) = 0;
  virtual SchedulerState state() const = 0;
  // The service of the model that makes vectors: this one, or one beside it. Null: there is none.
  virtual EmbeddingService* embeddings() const { return nullptr; }
};

// What a loaded model gives by itself. It and `memory`, of which grammars take, must outlive it.
class ModelService : public GenerationService {
 public:
  ~ModelService() override;

  const ServedModel& model() const override { return served_; }
  std::vector<int32_t> Encode(std::string_view text) const override;
  std::vector<int32_t> Encode(std::string_view text, bool add_special,
                              SpecialTokens special) const override;
  std::string Decode(std::span<const int32_t> tokens) const override;
  std::string_view TokenBytes(int32_t token) const override;
  std::string_view TokenText(int32_t token) const override;
  bool IsControl(int32_t token) const override;
  bool IsEndOfGeneration(int32_t token) const override;
  const Result<ChatModel>& chat() const override { return chat_; }
  GrammarCache& grammars() const override { return *grammars_; }
  std::vector<int32_t> Encode(const TrustedText& prompt) const override;

 protected:
  // model().chat follows from the model.
  ModelService(const Model& model, ServedModel served, CompileLimits limits, MemoryBudget* memory);

 private:
  const Model& model_;
  const Result<ChatModel> chat_;
  const ServedModel served_;
  const std::unique_ptr<GrammarCache> grammars_;
};

// The real one. The scheduler must outlive it, and so must what is beside it, which may be null.
// `answer_id` becomes model().fingerprint.
class SchedulerService : public ModelService {
 public:
  // At most `compilers` grammars are compiled at once, and `compiles_waiting` more may wait.
  SchedulerService(const Model& model, Scheduler& scheduler, size_t context, std::string answer_id,
                   size_t compilers = 1, size_t compiles_waiting = 16,
                   MemoryBudget* memory = nullptr, EmbeddingService* beside = nullptr);

  Status Submit(Job job) override;
  SchedulerState state() const override;
  EmbeddingService* embeddings() const override { return beside_; }

 private:
  Scheduler& scheduler_;
  EmbeddingService* const beside_;
};

}  // namespace lockstep
