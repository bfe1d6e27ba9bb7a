// The way into a block that guesses ahead (multi-token prediction; DeepSeek-V3, 2024). What follows
// is a layer like any other, and the output's product:
//
//   x = join * (norm(embedding of token t + 1), norm(hidden state of token t))
//
// Token t + 2 is guessed from that, and with the block's own hidden state in place of the model's
// the one behind it.
#include <algorithm>
#include <cassert>

#include "core/kernels/matmul.h"
#include "core/transformer/row_loops.h"
#include "core/transformer/transformer.h"

namespace lockstep {

void Transformer::JoinHidden(std::span<const BatchEntry> batch, size_t rows, Scratch& s,
                             ThreadPool& pool) const {
  const MtpWeights& w = weights_.mtp;
  const size_t dim = config_.dim, stride = s.joined_stride_;
  size_t first = 0;
  for (const BatchEntry& entry : batch) {
    assert(entry.hidden.size() == entry.tokens.size() * dim);
    const Norm& last_norm = entry.own_hidden ? weights_.output_norm : w.trunk_norm;
    ForEachRow(pool, entry.tokens.size(), 2 * dim, [&](size_t i) {
      float* embedding = s.joined_.data() + (first + i) * stride;
      float* hidden = embedding + dim;
      Normalize(w.embedding_norm, s.x_.data() + (first + i) * s.dim_stride_, embedding);
      Normalize(last_norm, entry.hidden.data() + i * dim, hidden);
      Normalize(w.hidden_norm, hidden, hidden);
    });
    first += entry.tokens.size();
  }
  const MatMulJob join[] = {{&w.join.weight, s.x_.data(), s.dim_stride_}};
  MatMul(kernels_, pool, {s.joined_.data(), rows, 2 * dim, stride}, join, s.matmul_);
  FinishRows(kernels_, pool, w.join, s.x_.data(), s.dim_stride_, rows);
}

}  // namespace lockstep
