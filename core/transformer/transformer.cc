// A pre-norm or post-norm decoder as in the papers: each layer adds attention's and the
// feed-forward network's output to the residual stream x. Rows of a batch are independent but for
// attention, which reads the caches; so each phase is one parallel loop over rows or heads, and no
// sum is ever shared between threads (R1).
#include "core/transformer/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/det_math.h"
#include "core/kernels/matmul.h"
#include "core/transformer/expert_choice.h"

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

void AddBias(const KernelTable& kernels, ThreadPool& pool, const Linear& linear, float* y,
             size_t stride, size_t rows) {
  if (linear.bias.empty()) return;
  ForEachRow(pool, rows, linear.bias.size(), [&](size_t row) {
    kernels.add(linear.bias.data(), 1.0f, linear.bias.size(), y + row * stride);
  });
}

}  // namespace

size_t LogitCount(const BatchEntry& entry) {
  return entry.logits == LogitRows::kAll    ? entry.tokens.size()
         : entry.logits == LogitRows::kLast ? 1
                                            : 0;
}

Transformer::Transformer(ModelConfig config, Weights weights, const KernelTable& kernels)
    : config_(std::move(config)), weights_(std::move(weights)), kernels_(kernels) {
  // The tensor's factors are for the whole context; layers with a window of their own angles are
  // not stretched, and get none.
  ropes_.push_back(MakeRopeTable(config_.rope, config_.rope_dim, weights_.rope_factors));
  if (config_.window != 0 && config_.window_rope != config_.rope) {
    ropes_.push_back(MakeRopeTable(config_.window_rope, config_.rope_dim, {}));
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
    if (config_.family->learned_positions &&
        entry.kv->length() + entry.tokens.size() > config_.context) {
      return Fail(
          ErrorKind::kContextExceeded,
          fmt::format("{} tokens after {} exceed the {} positions that the model has learned",
                      entry.tokens.size(), entry.kv->length(), config_.context));
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
      PlaceRow(entry.tokens[i], position, row, s);
      const bool last = i + 1 == entry.tokens.size();
      if (entry.logits == LogitRows::kAll || (entry.logits == LogitRows::kLast && last)) {
        s.logit_source_[s.logit_rows_++] = row;
      }
    }
    (void)entry.kv->Append(entry.tokens.size());  // CheckBatch has seen that it fits
  }
  return row;
}

// The embedding of a token, and its position's angles.
void Transformer::PlaceRow(int32_t token, size_t position, size_t row, Scratch& s) const {
  float* x = s.x_.data() + row * s.dim_stride_;
  DecodeRow(weights_.token_embd, static_cast<size_t>(token), x);
  if (config_.embedding_scale != 1) {
    for (size_t d = 0; d < config_.dim; ++d) x[d] *= config_.embedding_scale;
  }
  if (config_.family->learned_positions) {
    // norm_ is free until the first layer normalizes x into it.
    float* learned = s.norm_.data() + row * s.dim_stride_;
    DecodeRow(weights_.position_embd, position, learned);
    kernels_.add(learned, 1.0f, config_.dim, x);
  }
  const size_t pairs = config_.rope_dim / 2;
  for (size_t table = 0; table < ropes_.size(); ++table) {
    const size_t first = table * s.angles_ + row * pairs;
    for (size_t p = 0; p < pairs; ++p) {
      // In double: in float, the product of a large position and a frequency would lose the digits
      // that decide on the angle. The magnitude is multiplied in here, so that rotating does both.
      double sin, cos;
      DetSinCos(static_cast<double>(position) * ropes_[table].frequency[p], &sin, &cos);
      s.rope_cos_[first + p] = static_cast<float>(cos * ropes_[table].magnitude);
      s.rope_sin_[first + p] = static_cast<float>(sin * ropes_[table].magnitude);
    }
  }
}

Status Transformer::Forward(std::span<const BatchEntry> batch, Scratch& s, ThreadPool& pool) const {
  TRY_OK(CheckBatch(batch, s));
  const size_t rows = PlaceRows(batch, s);
  for (size_t layer = 0; layer < config_.layers; ++layer) {
    const LayerWeights& w = weights_.layers[layer];
    // With a parallel residual, both branches read the same x, so attention's waits in branch_
    // until the feed-forward network has read it. The order of the two additions is fixed either
    // way (R1).
    Attention(layer, rows, s, pool);
    if (!config_.parallel_residual) AddToStream(w.attn_post_norm, s.branch_, rows, s, pool);
    FeedForwards(w, rows, s, pool);
    AddToStream(w.ffn_post_norm, s.norm_, rows, s, pool);
    if (config_.parallel_residual) AddToStream(w.attn_post_norm, s.branch_, rows, s, pool);
  }
  Logits(s, pool);
  return {};
}

// y = norm(x), or x where the model has none there. [dim]
void Transformer::Normalize(const Norm& norm, const float* x, float* y) const {
  if (!norm.bias.empty()) {
    kernels_.layer_norm(x, norm.weight.data(), norm.bias.data(), config_.dim, config_.norm_eps, y);
  } else if (!norm.weight.empty()) {
    kernels_.rms_norm(x, norm.weight.data(), config_.dim, config_.norm_eps, y);
  } else if (x != y) {
    std::copy_n(x, config_.dim, y);
  }
}

// x += scale * post_norm(branch)
void Transformer::AddToStream(const Norm& post_norm, AlignedBuffer<float>& branch, size_t rows,
                              Scratch& s, ThreadPool& pool) const {
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    float* y = branch.data() + row * s.dim_stride_;
    Normalize(post_norm, y, y);
    kernels_.add(y, config_.residual_scale, config_.dim, s.x_.data() + row * s.dim_stride_);
  });
}

// branch = wo * attention(rope(wq * n), rope(wk * n), wv * n), where n = norm(x)
void Transformer::Attention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const LayerWeights& w = weights_.layers[layer];
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    Normalize(w.attn_norm, s.x_.data() + row * s.dim_stride_, s.norm_.data() + row * s.dim_stride_);
  });
  const MatMulJob qkv[] = {{&w.wq.weight, s.q_.data(), s.q_stride_},
                           {&w.wk.weight, s.k_.data(), s.kv_stride_},
                           {&w.wv.weight, s.v_.data(), s.kv_stride_}};
  MatMul(kernels_, pool, {s.norm_.data(), rows, config_.dim, s.dim_stride_}, qkv, s.matmul_);
  ForEachRow(pool, rows, config_.q_dim(), [&](size_t row) { StoreKeys(layer, row, s); });
  Attend(layer, rows, s, pool);
  const MatMulJob out[] = {{&w.wo.weight, s.branch_.data(), s.dim_stride_}};
  MatMul(kernels_, pool, {s.attn_.data(), rows, config_.q_dim(), s.q_stride_}, out, s.matmul_);
  AddBias(kernels_, pool, w.wo, s.branch_.data(), s.dim_stride_, rows);
}

// Biases, norms and rotates queries and keys of a row, and stores its keys and values.
void Transformer::StoreKeys(size_t layer, size_t row, Scratch& s) const {
  const LayerWeights& w = weights_.layers[layer];
  const size_t head_dim = config_.head_dim, pairs = config_.rope_dim / 2;
  float* query = s.q_.data() + row * s.q_stride_;
  float* key = s.k_.data() + row * s.kv_stride_;
  float* value = s.v_.data() + row * s.kv_stride_;
  // A norm of head_dim values is applied to each head by itself, one of all values at once
  // (QkNorm). The order, bias before norm before rotation, is that of the published models.
  const auto finish = [&](const Linear& linear, const std::vector<float>& norm, size_t heads,
                          float* x) {
    if (!linear.bias.empty()) kernels_.add(linear.bias.data(), 1.0f, heads * head_dim, x);
    for (size_t i = 0; !norm.empty() && i < heads * head_dim; i += norm.size()) {
      kernels_.rms_norm(x + i, norm.data(), norm.size(), config_.norm_eps, x + i);
    }
    if (&linear == &w.wv || !config_.rotates(layer)) return;
    const size_t angles = rope_table(layer) * s.angles_ + row * pairs;
    kernels_.rope(x, heads, head_dim, s.rope_cos_.data() + angles, s.rope_sin_.data() + angles,
                  pairs);
  };
  finish(w.wq, w.q_norm, config_.heads, query);
  finish(w.wk, w.k_norm, config_.kv_heads, key);
  finish(w.wv, {}, config_.kv_heads, value);
  const auto [kv, position] = s.places_[row];
  for (size_t h = 0; h < config_.kv_heads; ++h) {
    kv->Store(kernels_, layer, h, position, key + h * head_dim, value + h * head_dim);
  }
}

// Every row of the batch attends to its own positions only, rows of the same batch included: all of
// them are stored by now.
void Transformer::Attend(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const size_t head_dim = config_.head_dim, group = config_.heads / config_.kv_heads;
  const size_t window = config_.has_window(layer) ? config_.window : 0;
  size_t longest = 0;
  for (size_t row = 0; row < rows; ++row) longest = std::max(longest, s.places_[row].position + 1);
  if (window != 0) longest = std::min(longest, window);
  // The multiply-adds of an average tile: one for each value of each attended key, and one for each
  // of its value vector.
  const size_t tile_cost = 2 * longest * head_dim * group * rows / s.tile_count_;
  const size_t grain = std::max<size_t>(1, kSmallAttention / std::max<size_t>(1, tile_cost));
  // A unit of work is one tile of rows with one key/value head and the query heads that share it,
  // so that the cache of a head is read once for all of them.
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
                          .scale = config_.attention_scale,
                          .scratch = s.attention_.data() + thread * s.attention_stride_,
                          .window = window,
                          .soft_cap = config_.attention_soft_cap});
    }
  };
  pool.ParallelFor(s.tile_count_ * config_.kv_heads, grain, attend);
}

// norm = feed-forward(norm(x)), in place: `down` writes norm_ only after `up` and `gate` have read
// it.
void Transformer::FeedForwards(const LayerWeights& w, size_t rows, Scratch& s,
                               ThreadPool& pool) const {
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    Normalize(w.ffn_norm, s.x_.data() + row * s.dim_stride_, s.norm_.data() + row * s.dim_stride_);
  });
  if (config_.experts != 0) return MixExperts(w, rows, s, pool);
  Expand(w.ffn[0], {s.norm_.data(), rows, config_.dim, s.dim_stride_}, s.norm_.data(), s, pool);
}

// out = down * (act(gate * in) * (up * in)), or without a gate down * act(up * in). [in.n][dim]
void Transformer::Expand(const FeedForward& w, const MatMulInput& in, float* out, Scratch& s,
                         ThreadPool& pool) const {
  const size_t stride = s.ffn_stride_, rows = in.n;
  const bool gated = w.gate.weight.rows != 0;
  const MatMulJob up[] = {{&w.up.weight, s.up_.data(), stride},
                          {&w.gate.weight, s.gate_.data(), stride}};
  MatMul(kernels_, pool, in, std::span(up).first(gated ? 2 : 1), s.matmul_);
  const auto activate =
      config_.family->activation == Activation::kGelu ? kernels_.gelu_mul : kernels_.silu_mul;
  ForEachRow(pool, rows, config_.ffn_dim, [&](size_t row) {
    float *x = s.up_.data() + row * stride, *g = s.gate_.data() + row * stride;
    if (!w.up.bias.empty()) kernels_.add(w.up.bias.data(), 1.0f, config_.ffn_dim, x);
    if (!w.gate.bias.empty()) kernels_.add(w.gate.bias.data(), 1.0f, config_.ffn_dim, g);
    gated ? activate(g, x, config_.ffn_dim, x) : activate(x, nullptr, config_.ffn_dim, x);
  });
  const MatMulJob down[] = {{&w.down.weight, out, s.dim_stride_}};
  MatMul(kernels_, pool, {s.up_.data(), rows, config_.ffn_dim, stride}, down, s.matmul_);
  AddBias(kernels_, pool, w.down, out, s.dim_stride_, rows);
}

// Chooses each row's experts, and gives each expert consecutive slots for its rows, by a counting
// sort: if rows 0, 1 and 2 choose experts {2, 0}, {0, 1} and {2, 1}, expert 0 has slots 0 and 1
// (rows 0, 1), expert 1 slots 2 and 3 (rows 1, 2), and expert 2 slots 4 and 5 (rows 0, 2).
void Transformer::Route(const LayerWeights& w, size_t rows, Scratch& s, ThreadPool& pool) const {
  const size_t used = config_.experts_used;
  const MatMulJob router[] = {{&w.router, s.router_.data(), s.router_stride_}};
  MatMul(kernels_, pool, {s.norm_.data(), rows, config_.dim, s.dim_stride_}, router, s.matmul_);
  std::fill(s.expert_begin_.begin(), s.expert_begin_.end(), size_t{0});
  for (size_t row = 0; row < rows; ++row) {
    const std::span chosen(s.chosen_.data() + row * used, used);
    ChooseExperts(config_, {s.router_.data() + row * s.router_stride_, config_.experts}, chosen);
    for (const ChosenExpert& c : chosen) ++s.expert_begin_[c.expert + 1];
  }
  // Counts become first slots: expert_begin_[e + 1] counted the rows of expert e.
  for (size_t e = 0; e < config_.experts; ++e) s.expert_begin_[e + 1] += s.expert_begin_[e];
  std::copy_n(s.expert_begin_.begin(), config_.experts, s.expert_next_.begin());
  for (size_t i = 0; i < rows * used; ++i) {
    const size_t slot = s.expert_next_[s.chosen_[i].expert]++;
    s.expert_slot_[i] = slot;
    s.expert_rows_[slot] = i / used;
  }
}

// norm = the weighted sum of what the chosen experts make of norm, the heaviest first. An expert
// sees the rows that chose it, side by side, so that its weights are read once for all of them;
// what it makes of one row does not depend on the others.
void Transformer::MixExperts(const LayerWeights& w, size_t rows, Scratch& s,
                             ThreadPool& pool) const {
  const size_t used = config_.experts_used;
  Route(w, rows, s, pool);
  for (size_t e = 0; e < config_.experts; ++e) {
    const size_t begin = s.expert_begin_[e], n = s.expert_begin_[e + 1] - begin;
    if (n == 0) continue;
    for (size_t i = 0; i < n; ++i) {
      std::copy_n(s.norm_.data() + s.expert_rows_[begin + i] * s.dim_stride_, config_.dim,
                  s.expert_in_.data() + i * s.dim_stride_);
    }
    Expand(w.ffn[e], {s.expert_in_.data(), n, config_.dim, s.dim_stride_},
           s.expert_out_.data() + begin * s.dim_stride_, s, pool);
  }
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    float* y = s.norm_.data() + row * s.dim_stride_;
    std::fill_n(y, config_.dim, 0.0f);
    for (size_t i = row * used; i < (row + 1) * used; ++i) {
      kernels_.add(s.expert_out_.data() + s.expert_slot_[i] * s.dim_stride_, s.chosen_[i].weight,
                   config_.dim, y);
    }
  });
}

// output * norm(x), for the rows that were asked for
void Transformer::Logits(Scratch& s, ThreadPool& pool) const {
  if (s.logit_rows_ == 0) return;
  // The rows are gathered at the front of norm_, so that only they are multiplied by the largest
  // matrix of most models.
  ForEachRow(pool, s.logit_rows_, config_.dim, [&](size_t i) {
    Normalize(weights_.output_norm, s.x_.data() + s.logit_source_[i] * s.dim_stride_,
              s.norm_.data() + i * s.dim_stride_);
  });
  const MatMulJob out[] = {{&weights_.output(), s.logits_.data(), s.vocab_stride_}};
  MatMul(kernels_, pool, {s.norm_.data(), s.logit_rows_, config_.dim, s.dim_stride_}, out,
         s.matmul_);
  if (config_.logit_scale == 1 && config_.logit_soft_cap == 0) return;
  ForEachRow(pool, s.logit_rows_, config_.vocab, [&](size_t i) {
    const std::span<float> row = s.logits(i);
    for (float& v : row) v *= config_.logit_scale;
    if (config_.logit_soft_cap != 0) {
      kernels_.soft_cap(config_.logit_soft_cap, row.size(), row.data());
    }
  });
}

}  // namespace lockstep
