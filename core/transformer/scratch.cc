// All buffers are sized for the largest step and the largest layer here, so that Forward allocates
// nothing. Sizes are written down once, so that what is planned for is what is taken.
#include "core/transformer/scratch.h"

#include <algorithm>

#include "core/kernels/packed_matrix.h"

namespace lockstep {
namespace {

// Floats of one row.
struct Widths {
  size_t dim, q, attn, k, v, ffn, angles, router;
  size_t latent, query_down, layer_input, shared, expert_in, expert_out;
  size_t query_gate, channels, inner, value_heads;
  size_t head, joined;
  size_t largest_input;  // of a product
  HeadShape attended;    // the largest
  InputSteps steps;

  explicit Widths(const ModelConfig& c)
      : dim(PaddedRows(c.dim)),
        q(PaddedRows(c.Largest(&LayerConfig::q_dim))),
        attn(PaddedRows(c.Largest(&LayerConfig::attended_dim))),
        k(PaddedRows(c.Largest(&LayerConfig::k_dim))),
        v(PaddedRows(c.Largest(&LayerConfig::v_dim))),
        ffn(PaddedRows(c.LargestFfn())),
        angles(std::max(c.rope_dim, c.window_rope_dim) / 2),
        router(PaddedRows(c.mixture.experts)),
        latent(0),
        query_down(PaddedRows(c.latent.query_rank)),
        layer_input(PaddedRows(c.layers.size() * c.layer_input_dim)),
        shared(c.mixture.experts != 0 ? dim : 0),
        expert_in(c.mixture.experts != 0 ? dim : 0),
        expert_out(c.mixture.used * dim),
        query_gate(c.family->gated_attention ? attn : 0),
        channels(PaddedRows(c.recurrence.channels)),
        inner(PaddedRows(c.recurrence.inner)),
        value_heads(PaddedRows(c.recurrence.value_heads)),
        head(c.encodes() ? PaddedRows(std::max(c.head.widest, c.head.outputs)) : 0),
        joined(c.mtp ? PaddedRows(2 * c.dim) : 0),
        largest_input(
            std::max({c.dim, joined, c.head.widest, c.Largest(&LayerConfig::attended_dim),
                      c.LargestFfn(), c.latent.query_rank, c.layer_input_dim, c.recurrence.inner})),
        steps(c.family->encoder ? InputSteps::kTwo : InputSteps::kOne) {
    for (const LayerConfig& layer : c.layers) {
      attended.key = std::max(attended.key, layer.head.key);
      attended.value = std::max(attended.value, layer.head.value);
    }
    if (c.latent.rank == 0) return;
    // Products of single heads write whole panels, the last one beyond the row.
    q += kPanelRows;
    const size_t heads = c.layers[0].heads;
    latent =
        PaddedRows(heads * std::max(c.latent.plain + c.latent.rope, c.latent.value)) + kPanelRows;
    largest_input = std::max(largest_input, heads * c.latent.value);
  }

  size_t Row() const {
    return 3 * dim + q + attn + k + v + 2 * ffn + 2 * kRopeTables * angles + latent + query_down +
           2 * layer_input + router + shared + expert_in + expert_out + kPanelRows + query_gate +
           2 * (channels + inner + value_heads) + joined;
  }
  size_t AttentionStride() const {
    return (AttentionScratchFloats(attended) + kLanes - 1) / kLanes * kLanes;
  }
};

}  // namespace

Scratch::Scratch(const ModelConfig& c, size_t max_rows, size_t max_logit_rows, size_t threads)
    : max_rows_(max_rows), max_logit_rows_(max_logit_rows) {
  const Widths w(c);
  vocab_ = c.outputs(), vocab_stride_ = PaddedRows(c.outputs());
  dim_ = c.dim, dim_stride_ = w.dim;
  q_stride_ = w.q, attn_stride_ = w.attn, k_stride_ = w.k, v_stride_ = w.v, ffn_stride_ = w.ffn;
  angle_stride_ = w.angles, angles_ = max_rows * w.angles;
  latent_stride_ = w.latent, query_down_stride_ = w.query_down;
  layer_input_stride_ = w.layer_input, router_stride_ = w.router;
  attention_stride_ = w.AttentionStride();
  const auto rows_of = [&](size_t width) { return AlignedBuffer<float>(max_rows * width); };
  x_ = rows_of(w.dim), norm_ = rows_of(w.dim), branch_ = rows_of(w.dim);
  q_ = rows_of(w.q), attn_ = rows_of(w.attn), k_ = rows_of(w.k), v_ = rows_of(w.v);
  gate_ = rows_of(w.ffn), up_ = rows_of(w.ffn);
  joined_stride_ = w.joined, joined_ = rows_of(w.joined);
  rope_cos_ = rows_of(kRopeTables * w.angles), rope_sin_ = rows_of(kRopeTables * w.angles);
  query_scale_.resize(c.query_slope != 0 ? max_rows : 0);
  logits_ = AlignedBuffer<float>(max_logit_rows * vocab_stride_);
  pooled_stride_ = w.head;
  pooled_ = AlignedBuffer<float>(max_logit_rows * w.head);
  headed_ = AlignedBuffer<float>(max_logit_rows * w.head);
  matmul_ = MatMulScratch(max_rows, w.largest_input, threads, w.steps);
  attention_ = AlignedBuffer<float>(threads * attention_stride_);
  places_.resize(max_rows), tiles_.resize(max_rows), sequences_.resize(max_rows);
  query_gate_ = rows_of(w.query_gate);
  channel_stride_ = w.channels, value_stride_ = w.inner, head_stride_ = w.value_heads;
  channels_ = rows_of(w.channels), convolved_ = rows_of(w.channels);
  value_gate_ = rows_of(w.inner), recalled_ = rows_of(w.inner);
  decay_ = rows_of(w.value_heads), beta_ = rows_of(w.value_heads);
  latent_ = rows_of(w.latent), query_down_ = rows_of(w.query_down);
  layer_input_ = rows_of(w.layer_input), layer_project_ = rows_of(w.layer_input);
  router_ = rows_of(w.router), shared_ = rows_of(w.shared), expert_in_ = rows_of(w.expert_in);
  expert_out_ = rows_of(w.expert_out), shared_gate_ = rows_of(kPanelRows);
  const size_t experts = c.mixture.experts, slots = max_rows * c.mixture.used;
  choice_.resize(2 * experts), chosen_.resize(slots);
  expert_slot_.resize(slots), expert_rows_.resize(slots);
  expert_begin_.resize(experts + 1), expert_next_.resize(experts);
  const size_t groups = std::max({size_t{1}, experts, c.latent.rank != 0 ? c.layers[0].heads : 0});
  groups_.resize(groups), jobs_.resize(2 * groups);
  networks_.resize(experts), network_of_.resize(max_rows);
  logit_source_.resize(max_logit_rows);
}

size_t Scratch::Bytes(const ModelConfig& config, size_t max_rows, size_t max_logit_rows,
                      size_t threads) {
  const Widths w(config);
  const size_t floats = max_rows * w.Row() +
                        max_logit_rows * (PaddedRows(config.outputs()) + 2 * w.head) +
                        threads * w.AttentionStride();
  return floats * sizeof(float) + MatMulScratch::Bytes(max_rows, w.largest_input, threads, w.steps);
}

}  // namespace lockstep
