// The transformer: attention and feed-forward (dense, or a mixture of experts), each of which adds
// to the residual stream. What families differ in is data (Architecture, ModelConfig). Immutable
// after construction and shared by all threads; every method is const.
//
// R1: the logits at a position are a pure function of the model and the tokens up to it. How the
// tokens were cut into batches, what else was in them, and how many threads there were: none of
// these changes one bit.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/kernels/kernels.h"
#include "core/kernels/thread_pool.h"
#include "core/transformer/config_types.h"
#include "core/transformer/kv_cache.h"
#include "core/transformer/scratch.h"
#include "core/transformer/text_form.h"
#include "core/transformer/weights.h"

namespace lockstep {

enum class LogitRows { kNone, kLast, kAll };

// The next tokens of one sequence. They follow the kv->length() positions that the cache holds.
struct BatchEntry {
  KvCache* kv;                      // a cache appears once in a batch
  std::span<const int32_t> tokens;  // at least one
  LogitRows logits = LogitRows::kLast;
  // For a block that guesses ahead: the hidden state of the token before each, that is
  // Scratch::token_vector of the model that it guesses for, or of its own last Forward.
  std::span<const float> hidden = {};  // [tokens][dim]
  bool own_hidden = false;
};

// The rows of logits that an entry asks for.
size_t LogitCount(const BatchEntry& entry);

// A whole text, or two that are one to the model (Tokenizer::EncodePair).
struct EncoderText {
  std::span<const int32_t> tokens;  // at least one
  size_t second = SIZE_MAX;  // from this token on they are of the second type, if the model has it
  TextForm form = TextForm::kUnit;
};

class Transformer {
 public:
  Transformer(ModelConfig config, Weights weights, const KernelTable& kernels);

  // Feeds every entry's tokens and grows the caches by them. scratch.logits() then holds one row
  // of [vocab] for each row asked for, in the order of the batch. The calling thread must have
  // called SetComputeFloatMode().
  // kInvalidArgument (a token outside the vocabulary, more rows than scratch has) or
  // kContextExceeded; no cache has changed then.
  [[nodiscard]] Status Forward(std::span<const BatchEntry> batch, Scratch& scratch,
                               ThreadPool& pool) const;

  // scratch.logits() then holds what each text is to a model that encodes, [config().outputs()]:
  // its vector, or of a model that scores pairs their scores; and scratch.token_vector() what each
  // token of it is, whatever form the text has. They depend on the text
  // alone, and a text is never cut: no more of them go into one call than max_rows and
  // max_logit_rows of the scratch memory allow. Errors as of Forward. REQUIRES: config().encodes(),
  // and that its pooling is not kNone.
  [[nodiscard]] Status Encode(std::span<const EncoderText> texts, Scratch& scratch,
                              ThreadPool& pool) const;

  const ModelConfig& config() const { return config_; }
  const KernelTable& kernels() const { return kernels_; }
  size_t weight_bytes() const { return weights_.bytes; }

 private:
  [[nodiscard]] Status CheckBatch(std::span<const BatchEntry> batch, const Scratch& s) const;
  size_t TileRows(size_t rows, size_t threads) const;
  // Fills the places, embeddings and rope angles of the batch's rows; returns how many there are.
  size_t PlaceRows(std::span<const BatchEntry> batch, size_t threads, Scratch& s) const;
  [[nodiscard]] Status CheckTexts(std::span<const EncoderText> texts, const Scratch& s) const;
  [[nodiscard]] Status CheckTokens(std::span<const int32_t> tokens) const;
  // The places of a sequence's rows, `tile` of which are attended together.
  void PlaceSequence(const EncoderText& text, size_t first, size_t tile, KvCache* kv,
                     Scratch& s) const;
  // What goes into the layer of a block that guesses ahead (mtp.cc).
  void JoinHidden(std::span<const BatchEntry> batch, size_t rows, Scratch& s,
                  ThreadPool& pool) const;
  void Layers(size_t rows, Scratch& s, ThreadPool& pool) const;
  void Pool(size_t text, Scratch& s) const;
  void Head(std::span<const EncoderText> texts, Scratch& s, ThreadPool& pool) const;
  void FinishHidden(float* x) const;
  void NormalizeStream(const Norm& norm, size_t rows, Scratch& s, ThreadPool& pool) const;
  void PlaceRow(int32_t token, size_t type, size_t position, size_t row, Scratch& s) const;
  void LayerInputs(size_t rows, Scratch& s, ThreadPool& pool) const;
  // The things that a layer adds to the stream: attention leaves its own in s.branch_, the
  // feed-forward network in s.norm_; a layer with an embedding of its own adds that at the end.
  void Attention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  // What recurrent layers have in its place or beside it.
  void Recur(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void DeltaNet(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void Mamba2(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void ShortConvolution(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void FeedForwards(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void AddLayerInput(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void AddToStream(const Norm& post_norm, AlignedBuffer<float>& branch, size_t rows, Scratch& s,
                   ThreadPool& pool) const;
  void Logits(Scratch& s, ThreadPool& pool) const;
  void NormalizeRows(const Norm& norm, size_t rows, Scratch& s, ThreadPool& pool) const;
  void Normalize(const Norm& norm, const float* x, float* y) const;

  // The steps of Attention (attention.cc).
  void NormHeads(const std::vector<float>& norm, size_t n, float* x) const;
  void NormHeads(const Norm& norm, size_t n, float* x) const;
  void Rotate(size_t layer, size_t row, size_t heads, size_t size, const Scratch& s,
              float* x) const;
  void StoreKeys(size_t layer, size_t row, Scratch& s) const;
  void Attend(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void GateAttention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void LatentAttention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void MultiplyHeads(const std::vector<Linear>& heads, const MatMulInput& in, size_t in_step,
                     float* y, size_t ldy, size_t y_step, Scratch& s, ThreadPool& pool) const;
  void StoreLatentKey(size_t layer, size_t row, Scratch& s) const;
  void Project(const Linear& wo, const AlignedBuffer<float>& in, size_t stride, size_t rows,
               Scratch& s, ThreadPool& pool) const;

  // The steps of Recur (recurrence.cc).
  struct Projection {
    const Linear* by;
    float* out;  // [rows][stride]
    size_t stride;
  };
  struct RecallParts {
    size_t q, k, v;
  };
  void ProjectAll(std::initializer_list<Projection> to, size_t rows, Scratch& s,
                  ThreadPool& pool) const;
  void Convolve(size_t layer, size_t row, const RecurrentWeights& w, Scratch& s) const;
  void FinishKeys(const RecurrentWeights& w, size_t row, Scratch& s) const;
  void Recall(size_t layer, size_t rows, const RecallParts& at, Scratch& s, ThreadPool& pool) const;
  void KeepWindows(size_t layer, Scratch& s, ThreadPool& pool) const;
  void KeepWindow(size_t layer, const RowTile& sequence, Scratch& s) const;

  // The steps of FeedForwards (feed_forward.cc).
  void Activate(const FeedForward& w, float* gate, float* up) const;
  void Expand(std::span<const NetworkRows> networks, const float* in, float* out, Scratch& s,
              ThreadPool& pool) const;
  void ExpandShared(const LayerWeights& w, size_t rows, Scratch& s, ThreadPool& pool) const;
  void Route(const MixtureWeights& w, size_t rows, Scratch& s, ThreadPool& pool) const;
  size_t ExpandExperts(const MixtureWeights& w, size_t first, Scratch& s, ThreadPool& pool) const;
  void MixExperts(const LayerWeights& w, size_t rows, Scratch& s, ThreadPool& pool) const;
  // The index in ropes_ of the layer's angles; 1 is the table of layers with a sliding window.
  size_t rope_table(size_t layer) const {
    return config_.layers[layer].window && ropes_.size() > 1 ? 1 : 0;
  }

  ModelConfig config_;
  Weights weights_;
  const KernelTable& kernels_;
  std::vector<RopeTable> ropes_;  // at most kRopeTables
  // What brings a head's query and key, of a mean square of 1, to the length 1, and the query to
  // that of its product with values: 1 / head_dim and 1 / sqrt(head_dim).
  std::vector<float> unit_query_, unit_key_;  // [head_dim] of delta nets
  std::vector<float> slopes_;                 // [heads] by which scores fall with the distance
  size_t group_ = 1;                          // the most queries that share a key in any layer
  size_t kv_heads_ = SIZE_MAX;                // the fewest heads of keys and values
};

}  // namespace lockstep
