// The activations of one step, for at most `rows` tokens: allocated once, used by one Forward at a
// time. Every matrix is [row][columns], columns padded to whole panels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/matmul.h"
#include "core/transformer/config_types.h"
#include "core/transformer/expert_choice.h"

namespace lockstep {

class KvCache;
struct FeedForward;

// The two tables of angles: of most layers, and of those with a sliding window where they differ.
inline constexpr size_t kRopeTables = 2;

// Where a row of the batch belongs.
struct RowPlace {
  KvCache* kv;  // nullptr: the sequence is a text that is here as a whole
  size_t position;
  size_t first;   // row of the batch that belongs to the same sequence
  size_t length;  // of that text
};

// Rows of the batch that belong to one sequence; as a tile, those that are attended together.
struct RowTile {
  size_t first, rows;
};

// Rows side by side that a feed-forward network takes.
struct NetworkRows {
  const FeedForward* w;
  size_t begin, n;
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
  // Logits of the last Forward, row i is [vocab]; or what the texts of the last Encode have become,
  // each is [config.outputs()]. REQUIRES: i < logit_rows().
  std::span<float> logits(size_t i) { return {logits_.data() + i * vocab_stride_, vocab_}; }
  size_t logit_rows() const { return logit_rows_; }
  // What the last layer of the last Encode or Forward made of a token, [config.dim]. REQUIRES: the
  // text was one of those encoded, or the entry is of the batch, and has so many tokens.
  std::span<const float> token_vector(size_t text, size_t token) const {
    return {x_.data() + (sequences_[text].first + token) * dim_stride_, dim_};
  }

 private:
  friend class Transformer;
  size_t max_rows_, max_logit_rows_, logit_rows_ = 0;
  size_t vocab_, vocab_stride_, dim_, dim_stride_, q_stride_, attn_stride_, k_stride_, v_stride_;
  size_t ffn_stride_;
  // x_ is the residual stream. norm_ holds what goes into a branch and then what the feed-forward
  // network makes of it, branch_ what attention makes.
  AlignedBuffer<float> x_, norm_, branch_;  // [max_rows][dim]
  AlignedBuffer<float> q_;                  // [max_rows][q_dim]
  AlignedBuffer<float> attn_;               // [max_rows][attended_dim]
  AlignedBuffer<float> query_gate_;         // as long as attn_, for gated attention
  AlignedBuffer<float> k_, v_;              // [max_rows][k_dim], [max_rows][v_dim]
  AlignedBuffer<float> gate_, up_;          // [max_rows][ffn_dim]
  size_t joined_stride_;
  AlignedBuffer<float> joined_;               // [max_rows][2 * dim], of a block that guesses ahead
  size_t angle_stride_, angles_;              // of a row, and of max_rows
  AlignedBuffer<float> rope_cos_, rope_sin_;  // [kRopeTables][max_rows][angle_stride_]
  std::vector<float> query_scale_;            // [max_rows]
  AlignedBuffer<float> logits_;               // [max_logit_rows][vocab]
  MatMulScratch matmul_;
  // What texts are pooled into, and what that goes through, in turn.
  size_t pooled_stride_;
  AlignedBuffer<float> pooled_, headed_;  // [max_logit_rows][head.widest]
  size_t attention_stride_;
  AlignedBuffer<float> attention_;  // [threads][attention_stride_]
  std::vector<RowPlace> places_;    // [max_rows]
  std::vector<RowTile> tiles_;      // [max_rows], the first tile_count_
  size_t tile_count_ = 0;
  std::vector<RowTile> sequences_;  // [max_rows], the first sequence_count_
  size_t sequence_count_ = 0;
  // Products that are dealt out together, of networks or of heads.
  std::vector<MatMulGroup> groups_;  // [experts, or heads with matrices of their own; 1 at least]
  std::vector<MatMulJob> jobs_;      // two of each
  // The feed-forward networks of a call, and whose a row is.
  std::vector<NetworkRows> networks_;           // [experts]
  std::vector<const FeedForward*> network_of_;  // [max_rows]
  // Used by recurrent layers.
  size_t channel_stride_, value_stride_, head_stride_;
  AlignedBuffer<float> channels_, convolved_;   // [max_rows][channels]
  AlignedBuffer<float> value_gate_, recalled_;  // [max_rows][inner]
  AlignedBuffer<float> decay_, beta_;           // [max_rows][value_heads]
  // For latent attention: queries before the cached vector's matrices are applied, and then what
  // they make of what is attended to; and the vector that queries are made from.
  size_t latent_stride_, query_down_stride_;
  AlignedBuffer<float> latent_;      // [max_rows][heads * (plain + rope), or heads * value]
  AlignedBuffer<float> query_down_;  // [max_rows][query_rank]
  // Used by layers with an embedding of their own.
  size_t layer_input_stride_;
  AlignedBuffer<float> layer_input_, layer_project_;  // [max_rows][layers * layer_input_dim]
  // For mixtures of experts. A row's share of an expert is in the slot that expert_slot_ names.
  size_t router_stride_;
  AlignedBuffer<float> router_;       // [max_rows][experts]
  std::vector<double> choice_;        // [2 * experts]
  AlignedBuffer<float> shared_;       // [max_rows][dim]
  AlignedBuffer<float> shared_gate_;  // [max_rows][kPanelRows], the first of each row
  AlignedBuffer<float> expert_in_;    // [max_rows][dim], of the experts in hand
  AlignedBuffer<float> expert_out_;   // [max_rows * experts_used][dim], expert by expert
  std::vector<ChosenExpert> chosen_;  // [max_rows][experts_used]
  std::vector<size_t> expert_slot_;   // [max_rows][experts_used]
  std::vector<size_t> expert_rows_;   // [max_rows * experts_used] row of the slot
  std::vector<size_t> expert_begin_;  // [experts + 1] its first slot
  std::vector<size_t> expert_next_;   // [experts] its next free slot
  std::vector<size_t> logit_source_;  // [max_logit_rows] row of the batch
};

}  // namespace lockstep
