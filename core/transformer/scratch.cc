// All buffers are sized for the largest step here, so that Forward allocates nothing.
#include "core/transformer/scratch.h"

#include <algorithm>

#include "core/kernels/packed_matrix.h"

namespace lockstep {

Scratch::Scratch(const ModelConfig& c, size_t max_rows, size_t max_logit_rows, size_t threads)
    : max_rows_(max_rows),
      max_logit_rows_(max_logit_rows),
      vocab_(c.vocab),
      vocab_stride_(PaddedRows(c.vocab)),
      dim_stride_(PaddedRows(c.dim)),
      q_stride_(PaddedRows(c.q_dim())),
      kv_stride_(PaddedRows(c.kv_dim())),
      ffn_stride_(PaddedRows(c.ffn_dim)),
      x_(max_rows * dim_stride_),
      norm_(max_rows * dim_stride_),
      branch_(max_rows * dim_stride_),
      q_(max_rows * q_stride_),
      attn_(max_rows * q_stride_),
      k_(max_rows * kv_stride_),
      v_(max_rows * kv_stride_),
      gate_(max_rows * ffn_stride_),
      up_(max_rows * ffn_stride_),
      angles_(max_rows * c.rope_dim / 2),
      rope_cos_(kRopeTables * angles_),
      rope_sin_(kRopeTables * angles_),
      logits_(max_logit_rows * vocab_stride_),
      matmul_(max_rows, std::max({c.dim, c.q_dim(), c.ffn_dim}), threads),
      attention_stride_((AttentionScratchFloats(c.head_dim) + 15) / 16 * 16),
      attention_(threads * attention_stride_),
      places_(max_rows),
      tiles_(max_rows),
      router_stride_(PaddedRows(c.experts)),
      router_(max_rows * router_stride_),
      expert_in_(c.experts != 0 ? max_rows * dim_stride_ : 0),
      expert_out_(max_rows * c.experts_used * dim_stride_),
      chosen_(max_rows * c.experts_used),
      expert_slot_(max_rows * c.experts_used),
      expert_rows_(max_rows * c.experts_used),
      expert_begin_(c.experts + 1),
      expert_next_(c.experts),
      logit_source_(max_logit_rows) {}

size_t Scratch::Bytes(const ModelConfig& config, size_t max_rows, size_t max_logit_rows,
                      size_t threads) {
  const size_t dim = PaddedRows(config.dim), q = PaddedRows(config.q_dim());
  const size_t row = 3 * dim + 2 * q + 2 * PaddedRows(config.kv_dim()) +
                     2 * PaddedRows(config.ffn_dim) + kRopeTables * config.rope_dim +
                     PaddedRows(config.experts) + (config.experts != 0 ? dim : 0) +
                     config.experts_used * dim;
  const size_t floats = max_rows * row + max_logit_rows * PaddedRows(config.vocab) +
                        threads * AttentionScratchFloats(config.head_dim);
  return floats * sizeof(float) +
         MatMulScratch::Bytes(max_rows, std::max({config.dim, config.q_dim(), config.ffn_dim}),
                              threads);
}

}  // namespace lockstep
