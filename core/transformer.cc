#include "core/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/det_math.h"
#include "core/kernels/matmul.h"

namespace lockstep {
namespace {

// Below this many values, or multiply-adds of attention, another thread is not worth waking.
constexpr size_t kSmallElementwise = 16 * 1024;
constexpr size_t kSmallAttention = 32 * 1024;

// fn(row) for each row of `width` values.
template <class Fn>
void ForEachRow(ThreadPool& pool, size_t rows, size_t width, const Fn& fn) {
  pool.ParallelFor(rows, std::max<size_t>(1, kSmallElementwise / width),
                   [&](size_t begin, size_t end) {
                     for (size_t row = begin; row < end; ++row) fn(row);
                   });
}

size_t LogitCount(const BatchEntry& entry) {
  return entry.logits == LogitRows::kAll    ? entry.tokens.size()
         : entry.logits == LogitRows::kLast ? 1
                                            : 0;
}

}  // namespace

Transformer::Transformer(ModelConfig config, Weights weights, const KernelTable& kernels)
    : config_(std::move(config)), weights_(std::move(weights)), kernels_(kernels) {
  const double log_base = DetLog(config_.rope_base);
  for (size_t i = 0; i < config_.rope_dim / 2; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(config_.rope_dim);
    rope_freq_.push_back(DetExp(-exponent * log_base));
  }
}

Status Transformer::CheckBatch(std::span<const BatchEntry> batch, const Scratch& s) const {
  size_t rows = 0, logit_rows = 0;
  for (const BatchEntry& entry : batch) {
    rows += entry.tokens.size();
    logit_rows += LogitCount(entry);
    if (entry.tokens.empty()) {
      return Fail(ErrorKind::kInvalidArgument, "a batch entry without tokens");
    }
    for (int32_t token : entry.tokens) {
      if (token < 0 || static_cast<size_t>(token) >= config_.vocab) {
        return Fail(
            ErrorKind::kInvalidArgument,
            fmt::format("token id {} is outside the vocabulary of {}", token, config_.vocab));
      }
    }
    if (entry.tokens.size() > entry.kv->context() - entry.kv->length()) {
      return Fail(ErrorKind::kContextExceeded,
                  fmt::format("{} tokens after {} do not fit into the context of {}",
                              entry.tokens.size(), entry.kv->length(), entry.kv->context()));
    }
  }
  if (rows > s.max_rows() || logit_rows > s.max_logit_rows()) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("a batch of {} rows, {} with logits, exceeds the {} and {} that its "
                            "scratch memory was made for",
                            rows, logit_rows, s.max_rows(), s.max_logit_rows()));
  }
  return {};
}

size_t Transformer::PlaceRows(std::span<const BatchEntry> batch, Scratch& s) const {
  // As many rows share a walk through the cache as the kernel takes queries.
  const size_t tile = std::max<size_t>(1, kAttentionQueries / (config_.heads / config_.kv_heads));
  size_t row = 0;
  s.logit_rows_ = s.tile_count_ = 0;
  for (const BatchEntry& entry : batch) {
    for (size_t i = 0; i < entry.tokens.size(); i += tile) {
      s.tiles_[s.tile_count_++] = {row + i, std::min(tile, entry.tokens.size() - i)};
    }
    size_t position = entry.kv->length();
    for (size_t i = 0; i < entry.tokens.size(); ++i, ++row, ++position) {
      s.places_[row] = {entry.kv, position};
      DecodeRow(weights_.token_embd, static_cast<size_t>(entry.tokens[i]),
                s.x_.data() + row * s.dim_stride_);
      for (size_t p = 0; p < rope_freq_.size(); ++p) {
        double sin, cos;
        DetSinCos(static_cast<double>(position) * rope_freq_[p], &sin, &cos);
        s.rope_cos_[row * rope_freq_.size() + p] = static_cast<float>(cos);
        s.rope_sin_[row * rope_freq_.size() + p] = static_cast<float>(sin);
      }
      const bool last = i + 1 == entry.tokens.size();
      if (entry.logits == LogitRows::kAll || (entry.logits == LogitRows::kLast && last)) {
        s.logit_source_[s.logit_rows_++] = row;
      }
    }
    (void)entry.kv->Append(entry.tokens.size());  // CheckBatch has seen that it fits
  }
  return row;
}

Status Transformer::Forward(std::span<const BatchEntry> batch, Scratch& s, ThreadPool& pool) const {
  if (Status ok = CheckBatch(batch, s); !ok) return ok;
  const size_t rows = PlaceRows(batch, s);
  for (size_t layer = 0; layer < config_.layers; ++layer) {
    Attention(layer, rows, s, pool);
    FeedForward(weights_.layers[layer], rows, s, pool);
  }
  Logits(s, pool);
  return {};
}

// x += wo * attention(rope(wq * n), rope(wk * n), wv * n), where n = norm(x)
void Transformer::Attention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const LayerWeights& w = weights_.layers[layer];
  const size_t head_dim = config_.head_dim, group = config_.heads / config_.kv_heads;
  const size_t pairs = rope_freq_.size();
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    kernels_.rms_norm(s.x_.data() + row * s.dim_stride_, w.attn_norm.data(), config_.dim,
                      config_.norm_eps, s.norm_.data() + row * s.dim_stride_);
  });
  const MatMulJob qkv[] = {{&w.wq, s.q_.data(), s.q_stride_},
                           {&w.wk, s.k_.data(), s.kv_stride_},
                           {&w.wv, s.v_.data(), s.kv_stride_}};
  MatMul(kernels_, pool, {s.norm_.data(), rows, config_.dim, s.dim_stride_}, qkv, s.matmul_);

  ForEachRow(pool, rows, config_.q_dim(), [&](size_t row) {
    const float* cos = s.rope_cos_.data() + row * pairs;
    const float* sin = s.rope_sin_.data() + row * pairs;
    float* key = s.k_.data() + row * s.kv_stride_;
    kernels_.rope(s.q_.data() + row * s.q_stride_, config_.heads, head_dim, cos, sin, pairs);
    kernels_.rope(key, config_.kv_heads, head_dim, cos, sin, pairs);
    const float* value = s.v_.data() + row * s.kv_stride_;
    const auto [kv, position] = s.places_[row];
    for (size_t h = 0; h < config_.kv_heads; ++h) {
      kv->Store(kernels_, layer, h, position, key + h * head_dim, value + h * head_dim);
    }
  });

  // Every row of the batch attends to its own positions only, rows of the same batch included:
  // all of them are stored by now.
  size_t longest = 0;
  for (size_t row = 0; row < rows; ++row) longest = std::max(longest, s.places_[row].position + 1);
  const size_t tile_cost = 2 * longest * head_dim * group * rows / s.tile_count_;
  const size_t grain = std::max<size_t>(1, kSmallAttention / std::max<size_t>(1, tile_cost));
  const auto attend = [&](size_t begin, size_t end, size_t thread) {
    for (size_t i = begin; i < end; ++i) {
      const RowTile tile = s.tiles_[i / config_.kv_heads];
      const size_t h = i % config_.kv_heads;
      const auto [kv, position] = s.places_[tile.first];
      const size_t offset = tile.first * s.q_stride_ + h * group * head_dim;
      kernels_.attention({.q = s.q_.data() + offset,
                          .out = s.attn_.data() + offset,
                          .stride = s.q_stride_,
                          .rows = tile.rows,
                          .heads = group,
                          .head_dim = head_dim,
                          .kv = kv->View(layer, h),
                          .length = position + 1,
                          .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
                          .scratch = s.attention_.data() + thread * s.attention_stride_});
    }
  };
  pool.ParallelFor(s.tile_count_ * config_.kv_heads, grain, attend);

  const MatMulJob out[] = {{&w.wo, s.norm_.data(), s.dim_stride_}};
  MatMul(kernels_, pool, {s.attn_.data(), rows, config_.q_dim(), s.q_stride_}, out, s.matmul_);
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    kernels_.add(s.norm_.data() + row * s.dim_stride_, config_.dim,
                 s.x_.data() + row * s.dim_stride_);
  });
}

// x += w_down * (silu(w_gate * n) * (w_up * n)), where n = norm(x)
void Transformer::FeedForward(const LayerWeights& w, size_t rows, Scratch& s,
                              ThreadPool& pool) const {
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    kernels_.rms_norm(s.x_.data() + row * s.dim_stride_, w.ffn_norm.data(), config_.dim,
                      config_.norm_eps, s.norm_.data() + row * s.dim_stride_);
  });
  const MatMulJob up[] = {{&w.w_gate, s.gate_.data(), s.ffn_stride_},
                          {&w.w_up, s.up_.data(), s.ffn_stride_}};
  MatMul(kernels_, pool, {s.norm_.data(), rows, config_.dim, s.dim_stride_}, up, s.matmul_);
  ForEachRow(pool, rows, config_.ffn_dim, [&](size_t row) {
    float* gate = s.gate_.data() + row * s.ffn_stride_;
    kernels_.silu_mul(gate, s.up_.data() + row * s.ffn_stride_, config_.ffn_dim, gate);
  });
  const MatMulJob down[] = {{&w.w_down, s.norm_.data(), s.dim_stride_}};
  MatMul(kernels_, pool, {s.gate_.data(), rows, config_.ffn_dim, s.ffn_stride_}, down, s.matmul_);
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    kernels_.add(s.norm_.data() + row * s.dim_stride_, config_.dim,
                 s.x_.data() + row * s.dim_stride_);
  });
}

// output * norm(x), for the rows that were asked for
void Transformer::Logits(Scratch& s, ThreadPool& pool) const {
  if (s.logit_rows_ == 0) return;
  ForEachRow(pool, s.logit_rows_, config_.dim, [&](size_t i) {
    kernels_.rms_norm(s.x_.data() + s.logit_source_[i] * s.dim_stride_, weights_.output_norm.data(),
                      config_.dim, config_.norm_eps, s.norm_.data() + i * s.dim_stride_);
  });
  const MatMulJob out[] = {{&weights_.output(), s.logits_.data(), s.vocab_stride_}};
  MatMul(kernels_, pool, {s.norm_.data(), s.logit_rows_, config_.dim, s.dim_stride_}, out,
         s.matmul_);
}

}  // namespace lockstep
