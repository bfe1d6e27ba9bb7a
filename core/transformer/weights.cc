// The tensors that a family's traits call for, taken by name. What a file has beyond them is
// refused: a bias that nobody adds would change every answer.
#include "core/transformer/weights.h"

#include <fmt/format.h>

#include <string>

#include "core/transformer/tensor_reader.h"

namespace lockstep {
namespace {

// Bounds for the tensors of factors that divide RoPE's frequencies. Below the first one, the angles
// of a long context would lose their digits.
constexpr float kMinDivisor = 0.01f, kMaxDivisor = 1e6f;

// The order of heads' rows in which the values that rotate together, i and i + rope_dim / 2, are 2i
// and 2i + 1, as the kernels rotate them. Queries and keys alike: their products stay the same but
// for the order of sums. With rope_dim 4 of head_dim 6, rows 0 to 5 of a head are the file's rows 0
// 2 1 3 4 5. Files of kAdjacent families have this order already.
RowOrder SideBySide(const ModelConfig& c, size_t heads) {
  RowOrder order;
  if (c.family->pairs != RopePairs::kHalves) return order;
  for (size_t i = 0; i < heads * c.head_dim; ++i) {
    const size_t d = i % c.head_dim;
    const size_t from = d < c.rope_dim ? d / 2 + d % 2 * (c.rope_dim / 2) : d;
    order.push_back(static_cast<uint32_t>(i - d + from));
  }
  return order;
}

void Reorder(const RowOrder& order, std::vector<float>& values) {
  if (order.empty()) return;
  const std::vector<float> old = values;
  for (size_t i = 0; i < values.size(); ++i) values[i] = old[order[i]];
}

class Loader {
 public:
  Loader(const GgufFile& file, const ModelConfig& config, ThreadPool* pool, const TensorDone& done)
      : config_(config),
        family_(*config.family),
        tensors_(file, pool, done),
        q_order_(SideBySide(config, config.heads)),
        k_order_(SideBySide(config, config.kv_heads)) {}

  Result<Weights> Load() {
    const ModelConfig& c = config_;
    Weights w;
    tensors_.Matrix("token_embd.weight", c.vocab, c.dim, w.token_embd);
    if (family_.learned_positions) {
      tensors_.Matrix("position_embd.weight", c.context, c.dim, w.position_embd);
    }
    if (c.rope_dim != 0) RopeFactors(w.rope_factors);
    // The tensors' names are those of llama.cpp, whatever the model's authors called them.
    for (size_t i = 0; i < c.layers && tensors_.status(); ++i) Layer(i, w.layers.emplace_back());
    LoadNorm("output_norm", w.output_norm);
    // Without output.weight the model ties it: the rows of the embedding are the output's, too.
    if (family_.output == Presence::kMust || tensors_.Has("output.weight")) {
      tensors_.Matrix("output.weight", c.vocab, c.dim, w.own_output.emplace());
    }
    if (tensors_.status()) tensors_.CheckAllTaken(family_.name);
    TRY_OK(tensors_.status());
    w.bytes = tensors_.bytes();
    return w;
  }

 private:
  void Layer(size_t i, LayerWeights& w) {
    const std::string prefix = fmt::format("blk.{}.", i);
    if (family_.pre_norm) LoadNorm(prefix + "attn_norm", w.attn_norm);
    Attention(prefix, w);
    if (family_.post_norm) LoadNorm(prefix + "post_attention_norm", w.attn_post_norm);
    if (family_.pre_norm) LoadNorm(prefix + "ffn_norm", w.ffn_norm);
    if (config_.experts != 0) {
      Experts(prefix, w);
    } else {
      DenseFeedForward(prefix, w.ffn.emplace_back());
    }
    if (family_.post_norm) LoadNorm(prefix + "post_ffw_norm", w.ffn_post_norm);
  }

  void Attention(const std::string& prefix, LayerWeights& w) {
    const ModelConfig& c = config_;
    if (tensors_.Has(prefix + "attn_qkv.weight")) {
      tensors_.Matrix(prefix + "attn_qkv.weight", c.dim,
                      {{&w.wq.weight, c.q_dim(), &q_order_},
                       {&w.wk.weight, c.kv_dim(), &k_order_},
                       {&w.wv.weight, c.kv_dim()}});
      std::vector<float> bias;
      Bias(prefix + "attn_qkv", family_.qkv_bias, c.q_dim() + 2 * c.kv_dim(), bias);
      if (!bias.empty()) {
        const auto k = bias.begin() + static_cast<ptrdiff_t>(c.q_dim());
        const auto v = k + static_cast<ptrdiff_t>(c.kv_dim());
        w.wq.bias.assign(bias.begin(), k);
        w.wk.bias.assign(k, v);
        w.wv.bias.assign(v, bias.end());
      }
    } else {
      tensors_.Matrix(prefix + "attn_q.weight", c.dim, {{&w.wq.weight, c.q_dim(), &q_order_}});
      tensors_.Matrix(prefix + "attn_k.weight", c.dim, {{&w.wk.weight, c.kv_dim(), &k_order_}});
      tensors_.Matrix(prefix + "attn_v.weight", c.kv_dim(), c.dim, w.wv.weight);
      Bias(prefix + "attn_q", family_.qkv_bias, c.q_dim(), w.wq.bias);
      Bias(prefix + "attn_k", family_.qkv_bias, c.kv_dim(), w.wk.bias);
      Bias(prefix + "attn_v", family_.qkv_bias, c.kv_dim(), w.wv.bias);
    }
    // Whatever has a value for each row of wq or wk must be in the order of the rows.
    Reorder(q_order_, w.wq.bias);
    Reorder(k_order_, w.wk.bias);
    if (family_.qk_norm != QkNorm::kNone) {
      const bool head = family_.qk_norm == QkNorm::kHead;
      tensors_.Vector(prefix + "attn_q_norm.weight", head ? c.head_dim : c.q_dim(), w.q_norm);
      tensors_.Vector(prefix + "attn_k_norm.weight", head ? c.head_dim : c.kv_dim(), w.k_norm);
      Reorder(q_order_, w.q_norm);
      Reorder(k_order_, w.k_norm);
    }
    LoadLinear(prefix + "attn_output", c.dim, c.q_dim(), family_.attention_output_bias, w.wo);
  }

  void DenseFeedForward(const std::string& prefix, FeedForward& w) {
    const ModelConfig& c = config_;
    // Phi-3 stacks the gate's rows above those of "up", in one tensor that is named after the
    // latter.
    if (family_.fused_gate) {
      tensors_.Matrix(prefix + "ffn_up.weight", c.dim,
                      {{&w.gate.weight, c.ffn_dim}, {&w.up.weight, c.ffn_dim}});
    } else {
      if (family_.gated) {
        LoadLinear(prefix + "ffn_gate", c.ffn_dim, c.dim, family_.ffn_bias, w.gate);
      }
      LoadLinear(prefix + "ffn_up", c.ffn_dim, c.dim, family_.ffn_bias, w.up);
    }
    LoadLinear(prefix + "ffn_down", c.dim, c.ffn_dim, family_.ffn_bias, w.down);
  }

  // Each of the three is one tensor, [experts][out][in].
  void Experts(const std::string& prefix, LayerWeights& w) {
    const ModelConfig& c = config_;
    tensors_.Matrix(prefix + "ffn_gate_inp.weight", c.experts, c.dim, w.router);
    w.ffn.resize(c.experts);
    const auto all = [&](const char* name, size_t rows, size_t cols, Linear FeedForward::*which) {
      std::vector<TensorReader::Part> parts;
      for (FeedForward& expert : w.ffn) parts.push_back({&(expert.*which).weight, rows});
      tensors_.Matrix(prefix + name, cols, parts, {cols, rows, c.experts});
    };
    all("ffn_gate_exps.weight", c.ffn_dim, c.dim, &FeedForward::gate);
    all("ffn_up_exps.weight", c.ffn_dim, c.dim, &FeedForward::up);
    all("ffn_down_exps.weight", c.dim, c.ffn_dim, &FeedForward::down);
  }

  // Llama 3's factors; or two sets, for contexts within the original one and for longer ones. The
  // choice is the file's alone: with it, logits would depend on how much of it a server offers.
  void RopeFactors(std::vector<float>& out) {
    const ModelConfig& c = config_;
    const size_t n = c.rope_dim / 2;
    const auto read = [&](const std::string& name, std::vector<float>& to) {
      tensors_.Vector(name, n, to);
      for (const float v : to) {
        if (!(v >= kMinDivisor && v <= kMaxDivisor)) {
          return tensors_.Fail(fmt::format("tensor {} holds {}, but factors must be {} to {}", name,
                                           v, kMinDivisor, kMaxDivisor));
        }
      }
    };
    const std::string one = "rope_freqs.weight";
    const std::string both[] = {"rope_factors_short.weight", "rope_factors_long.weight"};
    if (tensors_.Has(one)) read(one, out);
    if (tensors_.Has(both[0]) || tensors_.Has(both[1]) ||
        c.rope.scaling == RopeScaling::kLongRope) {
      std::vector<float> factors[2];
      for (size_t i = 0; i < 2; ++i) read(both[i], factors[i]);
      const bool longer = static_cast<double>(c.context) > c.rope.original_context;
      if (out.empty()) out = factors[longer ? 1 : 0];
    }
  }

  void LoadNorm(const std::string& name, Norm& out) {
    tensors_.Vector(name + ".weight", config_.dim, out.weight);
    if (family_.norm == NormKind::kLayer) {
      tensors_.Vector(name + ".bias", config_.dim, out.bias);
    }
  }

  void Bias(const std::string& name, Presence presence, size_t n, std::vector<float>& out) {
    if (presence == Presence::kMust ||
        (presence == Presence::kMay && tensors_.Has(name + ".bias"))) {
      tensors_.Vector(name + ".bias", n, out);
    }
  }

  void LoadLinear(const std::string& name, size_t rows, size_t cols, Presence bias, Linear& out) {
    tensors_.Matrix(name + ".weight", rows, cols, out.weight);
    Bias(name, bias, rows, out.bias);
  }

  const ModelConfig& config_;
  const Architecture& family_;
  TensorReader tensors_;
  const RowOrder q_order_, k_order_;
};

}  // namespace

Result<Weights> LoadWeights(const GgufFile& file, const ModelConfig& config, ThreadPool& pool,
                            const TensorDone& done) {
  return Loader(file, config, &pool, done).Load();
}

Status CheckWeights(const GgufFile& file, const ModelConfig& config, const TensorDone& done) {
  return Loader(file, config, nullptr, done).Load().map([](const Weights&) {});
}

}  // namespace lockstep
