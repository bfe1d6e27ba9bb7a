// The llama transformer: RMSNorm, RoPE, grouped-query attention, SwiGLU. Immutable after
// construction and shared by all threads; every method is const.
//
// R1: the logits at a position are a pure function of the model and the tokens up to it. How the
// tokens were cut into batches, what else was in them, and how many threads there were: none of
// these changes one bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/kernels/thread_pool.h"
#include "core/kv_cache.h"
#include "core/model_config.h"
#include "core/scratch.h"
#include "core/status.h"
#include "core/weights.h"

namespace lockstep {

enum class LogitRows { kNone, kLast, kAll };

// The next tokens of one sequence. They follow the kv->length() positions that the cache holds.
struct BatchEntry {
  KvCache* kv;                      // a cache appears once in a batch
  std::span<const int32_t> tokens;  // at least one
  LogitRows logits = LogitRows::kLast;
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

  const ModelConfig& config() const { return config_; }
  const KernelTable& kernels() const { return kernels_; }
  size_t weight_bytes() const { return weights_.bytes(); }

 private:
  [[nodiscard]] Status CheckBatch(std::span<const BatchEntry> batch, const Scratch& s) const;
  // Fills the places, embeddings and rope angles of the batch's rows; returns how many there are.
  size_t PlaceRows(std::span<const BatchEntry> batch, Scratch& s) const;
  void Attention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const;
  void FeedForward(const LayerWeights& w, size_t rows, Scratch& s, ThreadPool& pool) const;
  void Logits(Scratch& s, ThreadPool& pool) const;

  ModelConfig config_;
  Weights weights_;
  const KernelTable& kernels_;
  std::vector<double> rope_freq_;  // [rope_dim / 2]
};

}  // namespace lockstep
