// All experts of a layer are in one tensor for each of their matrices, and become networks of their
// own here.
#include "core/transformer/mixture_weights.h"

#include <cmath>
#include <initializer_list>

namespace lockstep {
namespace {

class MixtureLoader {
 public:
  MixtureLoader(TensorReader& tensors, const ModelConfig& config)
      : config_(config), family_(*config.family), tensors_(tensors) {}

  void Mixture(const std::string& prefix, MixtureWeights& w) {
    const size_t experts = config_.mixture.experts, dim = config_.dim;
    tensors_.Matrix(prefix + "ffn_gate_inp.weight", experts, dim, w.router.weight);
    tensors_.Bias(prefix + "ffn_gate_inp", family_.router_bias, experts, w.router.bias);
    tensors_.Bias(prefix + "exp_probs_b", family_.choice_bias, experts, w.choice_bias);
    Experts(prefix, w.experts);
    if (family_.gated_shared_expert) {
      tensors_.Matrix(prefix + "ffn_gate_inp_shexp.weight", dim, {{&w.shared_gate, 1}}, {dim});
    }
    if (!family_.dense_beside_experts) return;
    // Gemma 4: the router has a norm of its own, the size of which is taken off by sqrt(dim).
    tensors_.Vector(prefix + "ffn_gate_inp.scale", dim, w.router_norm);
    const float by = 1.0f / std::sqrt(static_cast<float>(dim));
    for (float& v : w.router_norm) v *= by;
    tensors_.LoadNorm(prefix + "pre_ffw_norm_2", dim, family_, w.norm);
    tensors_.LoadNorm(prefix + "post_ffw_norm_1", dim, family_, w.dense_post_norm);
    tensors_.LoadNorm(prefix + "post_ffw_norm_2", dim, family_, w.post_norm);
  }

 private:
  // Each is one tensor, [experts][out][in]; in some files the gate's rows and those of "up" are in
  // one tensor, of each expert the former first.
  void Experts(const std::string& prefix, std::vector<FeedForward>& to) {
    const size_t n = config_.mixture.experts, ffn = config_.mixture.ffn_dim, dim = config_.dim;
    to.resize(n);
    using Which = Linear FeedForward::*;
    const auto all = [&](const std::string& name, size_t rows, size_t cols,
                         std::initializer_list<Which> which) {
      std::vector<TensorReader::Part> parts;
      std::vector<float> biases, scales;
      for (FeedForward& expert : to) {
        for (const Which part : which) parts.push_back({&(expert.*part).weight, rows});
      }
      const size_t all_rows = rows * which.size();
      tensors_.Matrix(prefix + name + ".weight", cols, parts, {cols, all_rows, n});
      if (family_.expert_bias == Presence::kMust) {
        tensors_.Vector(prefix + name + ".bias", {all_rows, n}, biases);
      }
      if (tensors_.Has(prefix + name + ".scale")) {
        tensors_.Vector(prefix + name + ".scale", n, scales);
      }
      tensors_.Skip(prefix + name + ".input_scale");
      if (!tensors_.status()) return;
      for (size_t e = 0, at = 0; e < n; ++e) {
        for (const Which part : which) {
          Linear& linear = to[e].*part;
          if (!scales.empty()) linear.scale = scales[e];
          if (biases.empty()) continue;
          const auto begin = biases.begin() + static_cast<ptrdiff_t>(at);
          linear.bias.assign(begin, begin + static_cast<ptrdiff_t>(rows));
          at += rows;
        }
      }
    };
    if (family_.gated && tensors_.Has(prefix + "ffn_gate_up_exps.weight")) {
      all("ffn_gate_up_exps", ffn, dim, {&FeedForward::gate, &FeedForward::up});
    } else {
      if (family_.gated) all("ffn_gate_exps", ffn, dim, {&FeedForward::gate});
      all("ffn_up_exps", ffn, dim, {&FeedForward::up});
    }
    all("ffn_down_exps", dim, ffn, {&FeedForward::down});
  }

  const ModelConfig& config_;
  const Architecture& family_;
  TensorReader& tensors_;
};

}  // namespace

void LoadMixture(TensorReader& tensors, const ModelConfig& config, const std::string& prefix,
                 MixtureWeights& out) {
  MixtureLoader(tensors, config).Mixture(prefix, out);
}

}  // namespace lockstep
