// Attention of the forward pass: from the normed stream to queries, keys and values, and from what
// they attend to back to the stream. A layer has heads of its own size, may read keys and values of
// an earlier layer, and in DeepSeek's form makes them all from one vector. For that form the
// matrices that take the vector apart are applied to the queries and to what is attended to
// ("absorbed"), in prompts and single steps alike, so that the cache holds the vector and there is
// one order of operations (R4).
#include <algorithm>
#include <cmath>

#include "core/kernels/matmul.h"
#include "core/transformer/row_loops.h"
#include "core/transformer/transformer.h"

namespace lockstep {
namespace {

// Below this many multiply-adds of attention another thread is not worth waking.
constexpr size_t kSmallAttention = 32 * 1024;

// In how many parts the query heads that share a key/value head are dealt out: in one, but where
// threads would be left without work, as by the one head of DeepSeek's form. Each part reads the
// keys and values again, which costs less than it brings from four queries on: with two, decoding
// behind 7,000 positions of three heads took half as long again. Positions are not dealt out, as
// that would be another order of operations.
size_t PartsOfGroup(size_t units, size_t group, size_t threads) {
  constexpr size_t kLeastQueries = 4;
  if (units % threads == 0 || units >= 4 * threads) return 1;
  return std::clamp<size_t>(group / kLeastQueries, 1, threads);
}

}  // namespace

// branch = wo * attention(rope(wq * n), rope(wk * n), wv * n), where n = norm; a gate is of what wo
// multiplies
void Transformer::Attention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const LayerWeights& w = weights_.layers[layer];
  if (config_.family->latent) return LatentAttention(layer, rows, s, pool);
  MatMulJob products[4] = {{&w.wq.weight, s.q_.data(), s.q_stride_}};
  size_t count = 1;
  if (w.wk.weight.rows != 0) {  // else the layer reads another's
    products[count++] = {&w.wk.weight, s.k_.data(), s.k_stride_};
    products[count++] = {&w.wv.weight, s.v_.data(), s.v_stride_};
  }
  const bool gated = w.attn_gate.weight.rows != 0;
  if (gated) products[count++] = {&w.attn_gate.weight, s.query_gate_.data(), s.attn_stride_};
  MatMul(kernels_, pool, {s.norm_.data(), rows, config_.dim, s.dim_stride_},
         std::span(products).first(count), s.matmul_);
  const size_t width = config_.layers[layer].q_dim();
  ForEachRow(pool, rows, width, [&](size_t row) { StoreKeys(layer, row, s); });
  Attend(layer, rows, s, pool);
  if (gated) GateAttention(layer, rows, s, pool);
  Project(w.wo, s.attn_, s.attn_stride_, rows, s, pool);
}

// attn = sigmoid(gate) * attn
void Transformer::GateAttention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const size_t n = config_.layers[layer].attended_dim();
  ForEachRow(pool, rows, n, [&](size_t row) {
    float* gate = s.query_gate_.data() + row * s.attn_stride_;
    float* y = s.attn_.data() + row * s.attn_stride_;
    Finish(kernels_, weights_.layers[layer].attn_gate, n, gate);
    kernels_.sigmoid_mul(gate, y, n, y);
  });
}

// branch = wo * in
void Transformer::Project(const Linear& wo, const AlignedBuffer<float>& in, size_t stride,
                          size_t rows, Scratch& s, ThreadPool& pool) const {
  const MatMulJob out[] = {{&wo.weight, s.branch_.data(), s.dim_stride_}};
  MatMul(kernels_, pool, {in.data(), rows, wo.weight.cols, stride}, out, s.matmul_);
  FinishRows(kernels_, pool, wo, s.branch_.data(), s.dim_stride_, rows);
}

// A norm of the size of a head is applied to each head by itself, one of all values at once
// (QkNorm).
void Transformer::NormHeads(const std::vector<float>& norm, size_t n, float* x) const {
  for (size_t i = 0; !norm.empty() && i < n; i += norm.size()) {
    kernels_.rms_norm(x + i, norm.data(), norm.size(), config_.norm_eps, x + i);
  }
}

void Transformer::NormHeads(const Norm& norm, size_t n, float* x) const {
  if (norm.bias.empty()) return NormHeads(norm.weight, n, x);
  for (size_t i = 0; i < n; i += norm.weight.size()) {
    kernels_.layer_norm(x + i, norm.weight.data(), norm.bias.data(), norm.weight.size(),
                        config_.norm_eps, x + i);
  }
}

// Rotates the first values of `heads` vectors of `size` by the angles of a row.
void Transformer::Rotate(size_t layer, size_t row, size_t heads, size_t size, const Scratch& s,
                         float* x) const {
  const size_t pairs = config_.layers[layer].rope_dim / 2;
  if (pairs == 0) return;
  const size_t angles = rope_table(layer) * s.angles_ + row * s.angle_stride_;
  kernels_.rope(x, heads, size, s.rope_cos_.data() + angles, s.rope_sin_.data() + angles, pairs);
}

// Biases, norms and rotates queries and keys of a row, and stores its keys and values. The order,
// bias before norm before rotation (in some models rotation before norm), is that of the published
// models.
void Transformer::StoreKeys(size_t layer, size_t row, Scratch& s) const {
  const LayerWeights& w = weights_.layers[layer];
  const LayerConfig& c = config_.layers[layer];
  const auto finish = [&](const Norm& norm, size_t heads, float* x) {
    const size_t n = heads * c.head.key;
    if (!config_.family->qk_norm_last) NormHeads(norm, n, x);
    Rotate(layer, row, heads, c.head.key, s, x);
    if (config_.family->qk_norm_last) NormHeads(norm, n, x);
  };
  float* query = s.q_.data() + row * s.q_stride_;
  Finish(kernels_, w.wq, c.q_dim(), query);
  finish(w.q_norm, c.heads, query);
  if (config_.query_slope != 0) Multiply(s.query_scale_[row], c.q_dim(), query);
  if (w.wk.weight.rows == 0) return;
  float* key = s.k_.data() + row * s.k_stride_;
  float* value = s.v_.data() + row * s.v_stride_;
  Finish(kernels_, w.wk, c.k_dim(), key);
  Finish(kernels_, w.wv, c.v_dim(), value);
  finish(w.k_norm, c.kv_heads, key);
  NormHeads(w.v_norm, c.v_dim(), value);
  const RowPlace& place = s.places_[row];
  if (place.kv == nullptr) return;  // they are attended to where they are
  for (size_t h = 0; h < c.kv_heads; ++h) {
    place.kv->Store(kernels_, layer, h, place.position, key + h * c.head.key,
                    value + h * c.head.value);
  }
}

// Every row of the batch attends to its own positions only, rows of the same batch included: all of
// them are stored by now.
void Transformer::Attend(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const LayerWeights& w = weights_.layers[layer];
  const LayerConfig& c = config_.layers[layer];
  const size_t group = c.heads / c.kv_heads;
  const size_t window = c.window ? config_.window : 0;
  size_t longest = 0;
  for (size_t row = 0; row < rows; ++row) {
    const RowPlace& place = s.places_[row];
    longest = std::max(longest, place.kv != nullptr ? place.position + 1 : place.length);
  }
  if (window != 0) longest = std::min(longest, window);
  // The multiply-adds of an average tile: one for each value of each attended key, and one for each
  // of its value vector.
  const size_t parts = PartsOfGroup(s.tile_count_ * c.kv_heads, group, pool.threads());
  const size_t tile_cost =
      longest * (c.head.key + c.head.value) * group * rows / (s.tile_count_ * parts);
  const size_t grain = std::max<size_t>(1, kSmallAttention / std::max<size_t>(1, tile_cost));
  // A unit of work is one tile of rows with one key/value head and the query heads that share it,
  // so that the cache of a head is read once for all of them; or a part of these query heads, where
  // threads would have nothing to do. A head's tiles are side by side: they find its keys and
  // values in the processor's cache.
  const auto attend = [&](size_t begin, size_t end, size_t thread) {
    for (size_t i = begin; i < end; ++i) {
      const size_t part = i % parts, unit = i / parts;
      const RowTile tile = s.tiles_[unit % s.tile_count_];
      const size_t h = unit / s.tile_count_, first_of_group = part * group / parts;
      const size_t heads = (part + 1) * group / parts - first_of_group;
      const size_t head = h * group + first_of_group;
      const auto [kv, position, first, length] = s.places_[tile.first];
      AttentionJob job = {.q = s.q_.data() + tile.first * s.q_stride_ + head * c.head.key,
                          .q_stride = s.q_stride_,
                          .out = s.attn_.data() + tile.first * s.attn_stride_ + head * c.head.value,
                          .out_stride = s.attn_stride_,
                          .rows = tile.rows,
                          .heads = heads,
                          .head = c.head,
                          .kv = {},
                          .length = position + 1,
                          .scale = config_.attention_scale,
                          .scratch = s.attention_.data() + thread * s.attention_stride_,
                          .window = window,
                          .soft_cap = config_.attention_soft_cap,
                          .sinks = w.sinks.empty() ? nullptr : w.sinks.data() + head};
      if (kv != nullptr) {
        job.kv = kv->View(layer, h);
      } else {
        job.keys = s.k_.data() + first * s.k_stride_ + h * c.head.key;
        job.values = s.v_.data() + first * s.v_stride_ + h * c.head.value;
        job.key_stride = s.k_stride_, job.value_stride = s.v_stride_;
        if (config_.both_ways) {
          job.both_ways = true;
          job.length = length, job.position = position;
        }
        job.slopes = slopes_.empty() ? nullptr : slopes_.data() + head;
      }
      kernels_.attention(job);
    }
  };
  pool.ParallelFor(s.tile_count_ * c.kv_heads * parts, grain, attend);
}

// y = x * w^T of each head's own matrix. `in` and y are the first head's; the next one's begin
// in_step and y_step values further on. As many heads are dealt out together as have rows for one
// call; each alone where a product, which writes whole panels, reaches into the place of the next
// head, which is written after it.
void Transformer::MultiplyHeads(const std::vector<Linear>& heads, const MatMulInput& in,
                                size_t in_step, float* y, size_t ldy, size_t y_step, Scratch& s,
                                ThreadPool& pool) const {
  const bool apart = PaddedRows(heads[0].weight.rows) <= y_step;
  const size_t together = apart ? s.max_rows_ / in.n : 1;
  for (size_t h = 0; h < heads.size();) {
    const size_t count = std::min(together, heads.size() - h);
    for (size_t i = 0; i < count; ++i, ++h) {
      s.jobs_[i] = {&heads[h].weight, y + h * y_step, ldy};
      s.groups_[i] = {{in.x + h * in_step, in.n, in.k, in.stride}, {&s.jobs_[i], 1}};
    }
    MatMul(kernels_, pool, std::span(s.groups_).first(count), s.matmul_);
  }
}

// A head's query has a plain part and one that is rotated; the plain part of its key would be
// key_up * c, where c is the cached vector, so its product with the query is that of c with
// key_up^T * query. What the weights sum up is c again, and value_up makes the head's output of it.
void Transformer::LatentAttention(size_t layer, size_t rows, Scratch& s, ThreadPool& pool) const {
  const LatentWeights& w = weights_.layers[layer].latent;
  const LatentConfig& l = config_.latent;
  const LayerConfig& c = config_.layers[layer];
  const size_t query = l.plain + l.rope;
  const MatMulInput normed = {s.norm_.data(), rows, config_.dim, s.dim_stride_};
  const MatMulJob to_query = {&w.query.weight, s.latent_.data(), s.latent_stride_};
  const MatMulJob to_key = {&w.key.weight, s.k_.data(), s.k_stride_};
  if (l.query_rank != 0) {
    const MatMulJob jobs[] = {{&w.query_down.weight, s.query_down_.data(), s.query_down_stride_},
                              to_key};
    MatMul(kernels_, pool, normed, jobs, s.matmul_);
    ForEachRow(pool, rows, l.query_rank, [&](size_t row) {
      float* x = s.query_down_.data() + row * s.query_down_stride_;
      Finish(kernels_, w.query_down, l.query_rank, x);
      NormHeads(w.query_norm, l.query_rank, x);
    });
    MatMul(kernels_, pool, {s.query_down_.data(), rows, l.query_rank, s.query_down_stride_},
           {&to_query, 1}, s.matmul_);
  } else {
    const MatMulJob jobs[] = {to_query, to_key};
    MatMul(kernels_, pool, normed, jobs, s.matmul_);
  }
  FinishRows(kernels_, pool, w.query, s.latent_.data(), s.latent_stride_, rows);
  // The rotated parts come after all, as products write whole panels.
  MultiplyHeads(w.key_up, {s.latent_.data(), rows, l.plain, s.latent_stride_}, query, s.q_.data(),
                s.q_stride_, c.head.key, s, pool);
  ForEachRow(pool, rows, c.q_dim(), [&](size_t row) { StoreLatentKey(layer, row, s); });
  Attend(layer, rows, s, pool);
  MultiplyHeads(w.value_up, {s.attn_.data(), rows, l.rank, s.attn_stride_}, l.rank,
                s.latent_.data(), s.latent_stride_, l.value, s, pool);
  ForEachRow(pool, rows, c.heads * l.value, [&](size_t row) {
    for (size_t h = 0; h < c.heads; ++h) {
      float* x = s.latent_.data() + row * s.latent_stride_ + h * l.value;
      Finish(kernels_, w.value_up[h], l.value, x);
    }
  });
  Project(weights_.layers[layer].wo, s.latent_, s.latent_stride_, rows, s, pool);
}

// Puts a row's queries together, and stores its vector and the rotated part of its keys.
void Transformer::StoreLatentKey(size_t layer, size_t row, Scratch& s) const {
  const LatentWeights& w = weights_.layers[layer].latent;
  const LatentConfig& l = config_.latent;
  const LayerConfig& c = config_.layers[layer];
  float* query = s.q_.data() + row * s.q_stride_;
  const float* parts = s.latent_.data() + row * s.latent_stride_;
  for (size_t h = 0; h < c.heads; ++h) {
    float* x = query + h * c.head.key;
    Finish(kernels_, w.key_up[h], l.rank, x);
    std::copy_n(parts + h * (l.plain + l.rope) + l.plain, l.rope, x + l.rank);
  }
  Rotate(layer, row, c.heads, c.head.key, s, query + l.rank);
  if (config_.query_slope != 0) Multiply(s.query_scale_[row], c.q_dim(), query);
  float* key = s.k_.data() + row * s.k_stride_;
  Finish(kernels_, w.key, c.head.key, key);
  NormHeads(w.key_norm, l.rank, key);
  Rotate(layer, row, 1, c.head.key, s, key + l.rank);
  const RowPlace& place = s.places_[row];
  place.kv->Store(kernels_, layer, 0, place.position, key, key);
}

}  // namespace lockstep
