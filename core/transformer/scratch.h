// The activations of one step, for at most `rows` tokens: allocated once, used by one Forward at a
// time. Every matrix is [row][columns], columns padded to whole panels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/matmul.h"
#include "core/transformer/expert_choice.h"
#include "core/transformer/model_config.h"

namespace lockstep {

class KvCache;

// The two tables of angles: of most layers, and of those with a sliding window where they differ.
inline constexpr size_t kRopeTables = 2;

// Where a row of the batch belongs.
struct RowPlace {
  KvCache* kv;
  size_t position;
};

// Rows of the batch that belong to one sequence and are attended together.
struct RowTile {
  size_t first, rows;
};

class Scratch {
 public:
  // max_logit_rows bounds the rows whose logits one step can return; threads, those of the pool.
  Scratch(const ModelConfig& config, size_t max_rows, size_t max_logit_rows, size_t threads);

  // The bytes of its activations. All are touched by a step of max_rows.
  static size_t Bytes(const ModelConfig& config, size_t max_rows, size_t max_logit_rows,
                      size_t threads);

  size_t max_rows() const { return max_rows_; }
  size_t max_logit_rows() const { return max_logit_rows_; }
  // Logits of the last Forward; row i is [vocab]. REQUIRES: i < logit_rows().
  std::span<float> logits(size_t i) { return {logits_.data() + i * vocab_stride_, vocab_}; }
  size_t logit_rows() const { return logit_rows_; }

 private:
  friend class Transformer;
  size_t max_rows_, max_logit_rows_, logit_rows_ = 0;
  size_t vocab_, vocab_stride_, dim_stride_, q_stride_, kv_stride_, ffn_stride_;
  // x_ is the residual stream. norm_ holds what goes into a branch and then what the feed-forward
  // network makes of it, branch_ what attention makes.
  AlignedBuffer<float> x_, norm_, branch_;    // [max_rows][dim]
  AlignedBuffer<float> q_, attn_;             // [max_rows][q_dim]
  AlignedBuffer<float> k_, v_;                // [max_rows][kv_dim]
  AlignedBuffer<float> gate_, up_;            // [max_rows][ffn_dim]
  size_t angles_;                             // max_rows * rope_dim / 2
  AlignedBuffer<float> rope_cos_, rope_sin_;  // [kRopeTables][max_rows][rope_dim / 2]
  AlignedBuffer<float> logits_;               // [max_logit_rows][vocab]
  MatMulScratch matmul_;
  size_t attention_stride_;
  AlignedBuffer<float> attention_;  // [threads][attention_stride_]
  std::vector<RowPlace> places_;    // [max_rows]
  std::vector<RowTile> tiles_;      // [max_rows], the first tile_count_
  size_t tile_count_ = 0;
  // For mixtures of experts. A row's share of an expert is in the slot that expert_slot_ names.
  size_t router_stride_;
  AlignedBuffer<float> router_;       // [max_rows][experts]
  AlignedBuffer<float> expert_in_;    // [max_rows][dim], of the expert in hand
  AlignedBuffer<float> expert_out_;   // [max_rows * experts_used][dim], expert by expert
  std::vector<ChosenExpert> chosen_;  // [max_rows][experts_used]
  std::vector<size_t> expert_slot_;   // [max_rows][experts_used]
  std::vector<size_t> expert_rows_;   // [max_rows * experts_used] row of the slot
  std::vector<size_t> expert_begin_;  // [experts + 1] its first slot
  std::vector<size_t> expert_next_;   // [experts] its next free slot
  std::vector<size_t> logit_source_;  // [max_logit_rows] row of the batch
};

}  // namespace lockstep
