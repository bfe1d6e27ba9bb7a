// A pre-norm or post-norm decoder as in the papers: each layer adds attention's and the
// feed-forward network's output to the residual stream x. Rows of a batch are independent but for
// attention, which reads the caches; so each phase is one parallel loop over rows or heads, and no
// sum is ever shared between threads (R1).
#include "core/transformer/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "core/kernels/det_math.h"
#include "core/kernels/matmul.h"
#include "core/transformer/row_loops.h"

namespace lockstep {

size_t LogitCount(const BatchEntry& entry) {
  return entry.logits == LogitRows::kAll    ? entry.tokens.size()
         : entry.logits == LogitRows::kLast ? 1
                                            : 0;
}

namespace {

// ALiBi's (Press et al., 2022), for scores that fall by a factor of 2^8 at most: the heads' slopes
// are a geometric series, for other numbers of heads than powers of two with those between.
std::vector<float> DistanceSlopes(size_t heads) {
  const size_t power = std::bit_floor(heads);
  const auto two_to = [](double x) { return DetExp(x * 0.69314718055994530942); };
  std::vector<float> slopes;
  for (size_t h = 0; h < heads; ++h) {
    const auto n = static_cast<double>(power);
    const double exponent = h < power ? -8.0 * static_cast<double>(h + 1) / n
                                      : -4.0 * static_cast<double>(2 * (h - power) + 1) / n;
    slopes.push_back(static_cast<float>(two_to(exponent)));
  }
  return slopes;
}

}  // namespace

Transformer::Transformer(ModelConfig config, Weights weights, const KernelTable& kernels)
    : config_(std::move(config)), weights_(std::move(weights)), kernels_(kernels) {
  // The tensor's factors are for the whole context; layers with a window of their own angles are
  // not stretched, and get none.
  ropes_.push_back(MakeRopeTable(config_.rope, config_.rope_dim, weights_.rope_factors));
  const bool plain = config_.family->plain_window_rope;
  if (config_.window != 0 &&
      (config_.window_rope != config_.rope || config_.window_rope_dim != config_.rope_dim ||
       (plain && !weights_.rope_factors.empty()))) {
    const std::span<const float> factors(weights_.rope_factors);
    ropes_.push_back(MakeRopeTable(config_.window_rope, config_.window_rope_dim,
                                   plain ? std::span<const float>{} : factors));
  }
  for (const LayerConfig& layer : config_.layers) {
    if (!layer.attends()) continue;
    group_ = std::max(group_, layer.heads / layer.kv_heads);
    kv_heads_ = std::min(kv_heads_, layer.kv_heads);
  }
  if (config_.family->distance_slopes) slopes_ = DistanceSlopes(config_.layers[0].heads);
  const size_t state_dim = config_.recurrence.head_dim;
  const auto width = static_cast<float>(std::max<size_t>(1, state_dim));
  unit_query_.assign(state_dim, 1.0f / width);
  unit_key_.assign(state_dim, 1.0f / std::sqrt(width));
}

Status Transformer::CheckTokens(std::span<const int32_t> tokens) const {
  for (const int32_t token : tokens) {
    if (token >= 0 && static_cast<size_t>(token) < config_.vocab) continue;
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("token id {} is outside the vocabulary of {}", token, config_.vocab));
  }
  return {};
}

Status Transformer::CheckBatch(std::span<const BatchEntry> batch, const Scratch& s) const {
  if (config_.encodes()) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("models of architecture {} with this file's pooling encode texts and "
                            "generate none",
                            config_.architecture));
  }
  size_t rows = 0, logit_rows = 0;
  for (const BatchEntry& entry : batch) {
    rows += entry.tokens.size();
    logit_rows += LogitCount(entry);
    if (entry.tokens.empty()) {
      return Fail(ErrorKind::kInvalidArgument, "a batch entry without tokens");
    }
    TRY_OK(CheckTokens(entry.tokens));
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

// Rows share a walk through the cache, as many as the kernel takes queries, or fewer where threads
// would be left without a walk, or wait for the one that has one more than they.
size_t Transformer::TileRows(size_t rows, size_t threads) const {
  constexpr size_t kWalksOfThread = 3;
  const size_t most = std::max<size_t>(1, kAttentionQueries / group_);
  if (threads == 1) return most;
  const size_t tiles = (kWalksOfThread * threads + kv_heads_ - 1) / kv_heads_;
  return std::min((rows + tiles - 1) / tiles, most);
}

size_t Transformer::PlaceRows(std::span<const BatchEntry> batch, size_t threads, Scratch& s) const {
  size_t rows = 0;
  for (const BatchEntry& entry : batch) rows += entry.tokens.size();
  const size_t tile = TileRows(rows, threads);
  size_t row = 0;
  s.logit_rows_ = s.tile_count_ = s.sequence_count_ = 0;
  for (const BatchEntry& entry : batch) {
    PlaceSequence({entry.tokens}, row, tile, entry.kv, s);
    for (size_t i = 0; i < entry.tokens.size(); ++i, ++row) {
      const bool last = i + 1 == entry.tokens.size();
      if (entry.logits == LogitRows::kAll || (entry.logits == LogitRows::kLast && last)) {
        s.logit_source_[s.logit_rows_++] = row;
      }
    }
    (void)entry.kv->Append(entry.tokens.size());  // CheckBatch has seen that it fits
  }
  return row;
}

void Transformer::PlaceSequence(const EncoderText& text, size_t first, size_t tile, KvCache* kv,
                                Scratch& s) const {
  const std::span<const int32_t> tokens = text.tokens;
  for (size_t i = 0; i < tokens.size(); i += tile) {
    s.tiles_[s.tile_count_++] = {first + i, std::min(tile, tokens.size() - i)};
  }
  s.sequences_[s.sequence_count_++] = {first, tokens.size()};
  const size_t begin = kv != nullptr ? kv->length() : 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    s.places_[first + i] = {kv, begin + i, first, tokens.size()};
    PlaceRow(tokens[i], i >= text.second ? 1 : 0, begin + i, first + i, s);
  }
}

// The embedding of a token, and its position's angles.
void Transformer::PlaceRow(int32_t token, size_t type, size_t position, size_t row,
                           Scratch& s) const {
  float* x = s.x_.data() + row * s.dim_stride_;
  DecodeRow(*weights_.token_embd, static_cast<size_t>(token), x);
  if (config_.embedding_scale != 1) {
    for (size_t d = 0; d < config_.dim; ++d) x[d] *= config_.embedding_scale;
  }
  if (config_.family->learned_positions) {
    // norm_ is free until the first layer normalizes x into it.
    float* learned = s.norm_.data() + row * s.dim_stride_;
    DecodeRow(weights_.position_embd, position, learned);
    kernels_.add(learned, 1.0f, config_.dim, x);
  }
  if (weights_.token_types.rows != 0) {
    float* own = s.norm_.data() + row * s.dim_stride_;
    DecodeRow(weights_.token_types, std::min(type, weights_.token_types.rows - 1), own);
    kernels_.add(own, 1.0f, config_.dim, x);
  }
  if (config_.family->embedding_norm) Normalize(weights_.embedding_norm, x, x);
  if (weights_.layer_embd.rows != 0) {
    DecodeRow(weights_.layer_embd, static_cast<size_t>(token),
              s.layer_input_.data() + row * s.layer_input_stride_);
  }
  if (config_.query_slope != 0) {
    const double stretched = std::floor(static_cast<double>(position) / config_.query_length);
    s.query_scale_[row] = static_cast<float>(1 + config_.query_slope * DetLog(1 + stretched));
  }
  for (size_t table = 0; table < ropes_.size(); ++table) {
    const size_t first = table * s.angles_ + row * s.angle_stride_;
    for (size_t p = 0; p < ropes_[table].frequency.size(); ++p) {
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
  const size_t rows = PlaceRows(batch, pool.threads(), s);
  if (config_.mtp) JoinHidden(batch, rows, s, pool);
  Layers(rows, s, pool);
  Logits(s, pool);
  return {};
}

void Transformer::Layers(size_t rows, Scratch& s, ThreadPool& pool) const {
  if (config_.layer_input_dim != 0) LayerInputs(rows, s, pool);
  for (size_t layer = 0; layer < config_.layers.size(); ++layer) {
    const LayerWeights& w = weights_.layers[layer];
    const LayerConfig& has = config_.layers[layer];
    // With a parallel residual, both branches read the same x, so attention's waits in branch_
    // until the feed-forward network has read it. A layer that recurs beside its attention adds the
    // one and then the other, of the same norm. The order of additions is fixed either way (R1).
    if (has.attends() || has.recurrent) NormalizeRows(w.attn_norm, rows, s, pool);
    if (has.attends()) {
      Attention(layer, rows, s, pool);
      if (!config_.parallel_residual) AddToStream(w.attn_post_norm, s.branch_, rows, s, pool);
    }
    if (has.recurrent) {
      Recur(layer, rows, s, pool);
      AddToStream(w.attn_post_norm, s.branch_, rows, s, pool);
    }
    NormalizeStream(w.attn_stream_norm, rows, s, pool);
    if (!w.attn_second_norm.weight.empty()) {
      // norm_ has been the layer's input since the first product.
      ForEachRow(pool, rows, config_.dim, [&](size_t row) {
        kernels_.add(s.norm_.data() + row * s.dim_stride_, 1.0f, config_.dim,
                     s.x_.data() + row * s.dim_stride_);
      });
      NormalizeStream(w.attn_second_norm, rows, s, pool);
    }
    if (has.feeds_forward()) {
      FeedForwards(layer, rows, s, pool);
      AddToStream(w.ffn_post_norm, s.norm_, rows, s, pool);
    }
    if (config_.parallel_residual) AddToStream(w.attn_post_norm, s.branch_, rows, s, pool);
    NormalizeStream(w.ffn_stream_norm, rows, s, pool);
    if (config_.layer_input_dim != 0) AddLayerInput(layer, rows, s, pool);
    if (w.output_scale != 1) {
      ForEachRow(pool, rows, config_.dim, [&](size_t row) {
        Multiply(w.output_scale, config_.dim, s.x_.data() + row * s.dim_stride_);
      });
    }
  }
}

// x = norm(x), of each row, where the model has such a norm
void Transformer::NormalizeStream(const Norm& norm, size_t rows, Scratch& s,
                                  ThreadPool& pool) const {
  if (norm.weight.empty()) return;
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    float* x = s.x_.data() + row * s.dim_stride_;
    Normalize(norm, x, x);
  });
}

// norm_ = norm(x), of each row
void Transformer::NormalizeRows(const Norm& norm, size_t rows, Scratch& s, ThreadPool& pool) const {
  ForEachRow(pool, rows, config_.dim, [&](size_t row) {
    Normalize(norm, s.x_.data() + row * s.dim_stride_, s.norm_.data() + row * s.dim_stride_);
  });
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

// The layers' own embeddings of the batch's tokens, each with a part of what the stream holds:
// (norm(layer_project * x / sqrt(dim)) + sqrt(n) * embedding) / sqrt(2), or that part alone
void Transformer::LayerInputs(size_t rows, Scratch& s, ThreadPool& pool) const {
  const size_t n = config_.layer_input_dim, all = n * config_.layers.size();
  const MatMulJob project[] = {
      {&weights_.layer_project.weight, s.layer_project_.data(), s.layer_input_stride_}};
  MatMul(kernels_, pool, {s.x_.data(), rows, config_.dim, s.dim_stride_}, project, s.matmul_);
  const float by = 1.0f / std::sqrt(static_cast<float>(config_.dim));
  const float root = std::sqrt(static_cast<float>(n)), half = std::sqrt(0.5f);
  ForEachRow(pool, rows, all, [&](size_t row) {
    float* x = s.layer_project_.data() + row * s.layer_input_stride_;
    float* in = s.layer_input_.data() + row * s.layer_input_stride_;
    Finish(kernels_, weights_.layer_project, all, x);
    Multiply(by, all, x);
    NormHeads(weights_.layer_project_norm, all, x);
    if (weights_.layer_embd.rows == 0) {
      std::copy_n(x, all, in);
      return;
    }
    kernels_.add(in, root, all, x);
    for (size_t i = 0; i < all; ++i) in[i] = x[i] * half;
  });
}

// x += norm(project * (gelu(gate * x) * input))
void Transformer::AddLayerInput(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const LayerInput& w = weights_.layers[layer].input;
  const size_t n = config_.layer_input_dim;
  const MatMulJob gate[] = {{&w.gate.weight, s.layer_project_.data(), s.layer_input_stride_}};
  MatMul(kernels_, pool, {s.x_.data(), rows, config_.dim, s.dim_stride_}, gate, s.matmul_);
  ForEachRow(pool, rows, n, [&](size_t row) {
    float* g = s.layer_project_.data() + row * s.layer_input_stride_;
    Finish(kernels_, w.gate, n, g);
    kernels_.gelu_mul(g, s.layer_input_.data() + row * s.layer_input_stride_ + layer * n, n, g);
  });
  Project(w.project, s.layer_project_, s.layer_input_stride_, rows, s, pool);
  AddToStream(w.post_norm, s.branch_, rows, s, pool);
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
  const float scale = config_.logit_scale * weights_.output_scale;
  if (scale == 1 && config_.logit_soft_cap == 0) return;
  ForEachRow(pool, s.logit_rows_, config_.vocab, [&](size_t i) {
    const std::span<float> row = s.logits(i);
    Multiply(scale, row.size(), row.data());
    if (config_.logit_soft_cap != 0) {
      kernels_.soft_cap(config_.logit_soft_cap, row.size(), row.data());
    }
  });
}

}  // namespace lockstep
