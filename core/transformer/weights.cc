// The tensors that a family's traits call for, taken by name. What a file has beyond them is
// refused: a bias that nobody adds would change every answer.
#include "core/transformer/weights.h"

#include <fmt/format.h>

#include <string>

#include "core/transformer/row_order.h"
#include "core/transformer/tensor_reader.h"

namespace lockstep {
namespace {

// Bounds for the tensors of factors that divide RoPE's frequencies. Below the first one, the angles
// of a long context would lose their digits. Gemma 4 has 1e30 where a pair is not to turn.
constexpr float kMinDivisor = 0.01f, kMaxDivisor = 1e30f;

class Loader {
 public:
  Loader(const GgufFile& file, const ModelConfig& config, ThreadPool* pool, const TensorDone& done)
      : config_(config), family_(*config.family), tensors_(file, pool, done) {}

  Result<Weights> Load() {
    const ModelConfig& c = config_;
    Weights w;
    w.token_embd = Shared("token_embd.weight");
    if (family_.learned_positions) {
      tensors_.Matrix("position_embd.weight", c.context, c.dim, w.position_embd);
    }
    if (family_.token_types == Presence::kMay) TokenTypes(w.token_types);
    if (family_.embedding_norm) LoadNorm("token_embd_norm", w.embedding_norm);
    if (c.rope_dim != 0) RopeFactors(w.rope_factors);
    if (c.layer_input_dim != 0) LayerInputs(w);
    // The tensors' names are those of llama.cpp, whatever the model's authors called them.
    for (size_t i = 0; i < c.layers.size() && tensors_.status(); ++i) {
      Layer(i, config_.layers[i], w.layers.emplace_back());
    }
    if (family_.output_norm != nullptr) LoadNorm(family_.output_norm, w.output_norm);
    if (c.encodes()) LoadHead(tensors_, c, w.head);
    // Without output.weight the model ties it: the rows of the embedding are the output's, too.
    // What encodes has no use for it, unless its rows are what scores.
    if (c.encodes() && c.head.answers.empty()) {
      tensors_.SkipAll("output.");
    } else if (family_.output == Presence::kMust ||
               (family_.output == Presence::kMay && tensors_.Has("output.weight"))) {
      w.own_output = Shared("output.weight");
      tensors_.Scale("output", w.output_scale);
    }
    for (size_t i = c.layers.size(); i < c.layers_in_file(); ++i) {
      tensors_.SkipAll(fmt::format("blk.{}.", i));
    }
    if (tensors_.status()) tensors_.CheckAllTaken(family_.name);
    if (!c.head.answers.empty()) TakeAnswers(w);
    TRY_OK(tensors_.status());
    w.bytes = tensors_.bytes();
    return w;
  }

  Result<Weights> LoadMtp(size_t block, const Weights& trunk) {
    const std::string nextn = fmt::format("blk.{}.nextn.", block);
    Weights w;
    w.token_embd = trunk.token_embd;
    w.own_output = trunk.own_output;
    w.output_scale = trunk.output_scale;
    w.rope_factors = trunk.rope_factors;
    w.output_norm = w.mtp.trunk_norm = trunk.output_norm;
    LoadNorm(nextn + "enorm", w.mtp.embedding_norm);
    LoadNorm(nextn + "hnorm", w.mtp.hidden_norm);
    LoadLinear(nextn + "eh_proj", config_.dim, 2 * config_.dim, Presence::kNo, w.mtp.join);
    Layer(block, config_.layers[0], w.layers.emplace_back());
    if (tensors_.Has(nextn + "shared_head_norm.weight")) {
      LoadNorm(nextn + "shared_head_norm", w.output_norm);
    }
    if (tensors_.Has(nextn + "embed_tokens.weight")) {
      w.token_embd = Shared(nextn + "embed_tokens.weight");
      if (w.own_output == nullptr) w.own_output = trunk.token_embd;
    }
    if (tensors_.Has(nextn + "shared_head_head.weight")) {
      w.own_output = Shared(nextn + "shared_head_head.weight");
      w.output_scale = 1;
      tensors_.Scale(nextn + "shared_head_head", w.output_scale);
    }
    TRY_OK(tensors_.status());
    w.bytes = tensors_.bytes();
    return w;
  }

 private:
  // A row for each token.
  std::shared_ptr<const PackedMatrix> Shared(const std::string& name) {
    auto matrix = std::make_shared<PackedMatrix>();
    tensors_.Matrix(name, config_.vocab, config_.dim, *matrix);
    return matrix;
  }

  // The output's rows for the tokens that are answers become what scores.
  void TakeAnswers(Weights& w) {
    std::vector<float> rows;
    std::vector<float> row(config_.dim);
    for (const int32_t token : config_.head.answers) {
      if (w.output().panels.size() == 0) return;  // checked, and not kept
      DecodeRow(w.output(), static_cast<size_t>(token), row.data());
      for (const float v : row) rows.push_back(v * w.output_scale);
    }
    tensors_.Pack(rows, config_.head.answers.size(), config_.dim, w.head.output.weight);
    w.own_output.reset();
  }

  // The one that the file has as its block `i`.
  void Layer(size_t i, const LayerConfig& layer, LayerWeights& w) {
    const std::string prefix = fmt::format("blk.{}.", i);
    const bool own_kv = config_.mtp || layer.kv_layer == i;
    if (layer.attends() || layer.recurrent) Mixer(prefix, layer, own_kv, w);
    if (layer.feeds_forward()) FeedForwards(prefix, layer, w);
    if (config_.layer_input_dim != 0) {
      const size_t n = config_.layer_input_dim;
      LoadLinear(prefix + "inp_gate", n, config_.dim, Presence::kNo, w.input.gate);
      LoadLinear(prefix + "proj", config_.dim, n, Presence::kNo, w.input.project);
      LoadNorm(prefix + "post_norm", w.input.post_norm);
    }
    if (family_.layer_scale && tensors_.Has(prefix + "layer_output_scale.weight")) {
      tensors_.One(prefix + "layer_output_scale.weight", w.output_scale);
    }
  }

  // What mixes positions.
  void Mixer(const std::string& prefix, const LayerConfig& layer, bool own_kv, LayerWeights& w) {
    if (family_.pre_norm &&
        (!family_.may_lack_attn_norm || tensors_.Has(prefix + "attn_norm.weight"))) {
      LoadNorm(prefix + "attn_norm", w.attn_norm);
    }
    if (layer.recurrent) LoadRecurrent(tensors_, config_, prefix, w.recurrent);
    if (layer.attends()) {
      family_.latent ? LatentAttention(prefix, layer, w) : Attention(prefix, layer, own_kv, w);
    }
    if (family_.post_norm) LoadNorm(prefix + "post_attention_norm", w.attn_post_norm);
    if (family_.stream_norm) LoadNorm(prefix + "attn_output_norm", w.attn_stream_norm);
    if (family_.encoder && tensors_.Has(prefix + "attn_norm_2.weight")) {
      LoadNorm(prefix + "attn_norm_2", w.attn_second_norm);
    }
  }

  void FeedForwards(const std::string& prefix, const LayerConfig& layer, LayerWeights& w) {
    if (family_.pre_norm) {
      // Files of Falcon-H1 have this norm without the word "weight".
      const std::string name = prefix + family_.ffn_norm;
      if (family_.bare_ffn_norm && tensors_.Has(name)) {
        tensors_.Vector(name, config_.dim, w.ffn_norm.weight);
      } else {
        LoadNorm(name, w.ffn_norm);
      }
    }
    if (layer.experts) LoadMixture(tensors_, config_, prefix, w.mixture);
    const bool shared = layer.experts && !family_.dense_beside_experts;
    if (layer.ffn_dim != 0) {
      DenseFeedForward(prefix, shared ? "_shexp" : "", layer.ffn_dim, w.dense);
    }
    if (family_.post_norm) LoadNorm(prefix + "post_ffw_norm", w.ffn_post_norm);
    if (family_.stream_norm) LoadNorm(prefix + "layer_output_norm", w.ffn_stream_norm);
  }

  // A text has the first type, and the second text of a pair the second one.
  void TokenTypes(PackedMatrix& out) {
    const GgufTensor* tensor = tensors_.Peek("token_types.weight");
    if (tensor != nullptr) {
      tensors_.Matrix("token_types.weight", tensor->rows(), config_.dim, out);
    }
  }

  // One table has the embeddings of all layers side by side.
  void LayerInputs(Weights& w) {
    const size_t n = config_.layer_input_dim, all = n * config_.layers.size();
    if (!family_.encoder) {
      tensors_.Matrix("per_layer_token_embd.weight", config_.vocab, all, w.layer_embd);
    }
    LoadLinear("per_layer_model_proj", all, config_.dim, Presence::kNo, w.layer_project);
    tensors_.Vector("per_layer_proj_norm.weight", n, w.layer_project_norm);
  }

  void Attention(const std::string& prefix, const LayerConfig& layer, bool own_kv,
                 LayerWeights& w) {
    const size_t dim = config_.dim, q_dim = layer.q_dim(), k_dim = layer.k_dim();
    const size_t v_dim = layer.v_dim();
    // With gates, each head's are beside its query.
    const bool gated = family_.gated_attention;
    const size_t q_rows = gated ? 2 * q_dim : q_dim;
    const RowOrder q_order = SideBySide(family_, layer, layer.heads, q_rows / layer.heads);
    const RowOrder k_order = SideBySide(family_, layer, layer.kv_heads, layer.head.key);
    const RowOrder gate_order = gated ? GateRows(layer) : RowOrder{};
    std::vector<TensorReader::Part> q = {{&w.wq.weight, q_dim, &q_order, gated}};
    if (gated) q.push_back({&w.attn_gate.weight, q_dim, &gate_order, true});
    if (own_kv && tensors_.Has(prefix + "attn_qkv.weight")) {
      std::vector<TensorReader::Part> all = q;
      all.push_back({&w.wk.weight, k_dim, &k_order});
      all.push_back({&w.wv.weight, v_dim});
      tensors_.Matrix(prefix + "attn_qkv.weight", dim, all);
      tensors_.Scale(prefix + "attn_qkv", w.wq.scale);
      w.wk.scale = w.wv.scale = w.wq.scale;
      std::vector<float> bias;
      Bias(prefix + "attn_qkv", family_.qkv_bias, q_rows + k_dim + v_dim, bias);
      if (!bias.empty()) {
        const auto k = bias.begin() + static_cast<ptrdiff_t>(q_rows);
        const auto v = k + static_cast<ptrdiff_t>(k_dim);
        w.wq.bias.assign(bias.begin(), k);
        w.wk.bias.assign(k, v);
        w.wv.bias.assign(v, bias.end());
      }
    } else {
      const auto load = [&](const char* name, size_t rows, const auto& parts, Linear& to) {
        tensors_.Matrix(prefix + name + ".weight", dim, parts);
        tensors_.Scale(prefix + name, to.scale);
        Bias(prefix + name, family_.qkv_bias, rows, to.bias);
      };
      load("attn_q", q_rows, q, w.wq);
      // A layer that reads another's keys and values may have matrices for its own all the same.
      const auto load_kv = [&](const char* name, size_t rows, const RowOrder* order, Linear& to) {
        const std::vector<TensorReader::Part> part = {{&to.weight, rows, order}};
        if (own_kv) return load(name, rows, part, to);
        for (const char* end : {".weight", ".bias", ".scale"}) {
          tensors_.Skip(prefix + name + end);
        }
      };
      load_kv("attn_k", k_dim, &k_order, w.wk);
      const bool may_lack = family_.may_lack_value && layer.head.key == layer.head.value;
      // Values that are keys before norm and rotation have the rows of wk as the file has them.
      const bool from_key = may_lack && !tensors_.Has(prefix + "attn_v.weight");
      load_kv(from_key ? "attn_k" : "attn_v", v_dim, nullptr, w.wv);
    }
    if (gated) {
      w.attn_gate.bias = w.wq.bias;
      w.attn_gate.scale = w.wq.scale;
      Reorder(gate_order, w.attn_gate.bias);
    }
    // Whatever has a value for each row of wq or wk must be in the order of the rows.
    Reorder(q_order, w.wq.bias);
    Reorder(k_order, w.wk.bias);
    QkNorms(prefix, layer, own_kv, w);
    if (family_.qk_norm != QkNorm::kNone) {
      for (const auto part : {&Norm::weight, &Norm::bias}) {
        Reorder(q_order, w.q_norm.*part);
        Reorder(k_order, w.k_norm.*part);
      }
    }
    if (family_.value_norm && own_kv) w.v_norm.assign(layer.head.value, 1.0f);
    if (family_.sinks) tensors_.Vector(prefix + "attn_sinks.weight", layer.heads, w.sinks);
    LoadLinear(prefix + "attn_output", dim, layer.attended_dim(), family_.attention_output_bias,
               w.wo);
  }

  void QkNorms(const std::string& prefix, const LayerConfig& layer, bool own_kv, LayerWeights& w) {
    const bool head = family_.qk_norm == QkNorm::kHead;
    const auto load = [&](const std::string& name, size_t n, Norm& to) {
      if (family_.may_lack_qk_norm && !tensors_.Has(name + ".weight")) return;
      tensors_.LoadNorm(name, n, family_, to);
    };
    if (family_.qk_norm == QkNorm::kNone) return;
    load(prefix + "attn_q_norm", head ? layer.head.key : layer.q_dim(), w.q_norm);
    const std::string key = prefix + "attn_k_norm";
    if (!own_kv) return tensors_.Skip(key + ".weight");
    load(key, head ? layer.head.key : layer.k_dim(), w.k_norm);
  }

  // Old files have what makes keys and values of the short vector in one matrix, of each head the
  // rows of its key and then those of its value; the key's part is turned over here, as newer files
  // have it, so that there is one form of the model.
  void LatentAttention(const std::string& prefix, const LayerConfig& layer, LayerWeights& w) {
    const LatentConfig& c = config_.latent;
    LatentWeights& l = w.latent;
    const size_t query = layer.heads * (c.plain + c.rope);
    if (c.query_rank != 0) {
      LoadLinear(prefix + "attn_q_a", c.query_rank, config_.dim, Presence::kNo, l.query_down);
      tensors_.Vector(prefix + "attn_q_a_norm.weight", c.query_rank, l.query_norm);
      LoadLinear(prefix + "attn_q_b", query, c.query_rank, Presence::kNo, l.query);
    } else {
      LoadLinear(prefix + "attn_q", query, config_.dim, Presence::kNo, l.query);
    }
    LoadLinear(prefix + "attn_kv_a_mqa", c.rank + c.rope, config_.dim, Presence::kNo, l.key);
    tensors_.Vector(prefix + "attn_kv_a_norm.weight", c.rank, l.key_norm);
    l.key_up.resize(layer.heads);
    l.value_up.resize(layer.heads);
    if (tensors_.Has(prefix + "attn_kv_b.weight")) {
      std::vector<PackedMatrix> keys(layer.heads);  // [plain][rank]
      std::vector<TensorReader::Part> parts;
      for (size_t h = 0; h < layer.heads; ++h) {
        parts.push_back({&keys[h], c.plain});
        parts.push_back({&l.value_up[h].weight, c.value});
      }
      tensors_.Matrix(prefix + "attn_kv_b.weight", c.rank, parts);
      float scale = 1;
      tensors_.Scale(prefix + "attn_kv_b", scale);
      for (size_t h = 0; h < layer.heads; ++h) {
        tensors_.Transpose(keys[h], l.key_up[h].weight);
        l.key_up[h].scale = l.value_up[h].scale = scale;
      }
    } else {
      PerHead(prefix + "attn_k_b", c.rank, c.plain, l.key_up);
      PerHead(prefix + "attn_v_b", c.value, c.rank, l.value_up);
    }
    LoadLinear(prefix + "attn_output", config_.dim, layer.heads * c.value,
               family_.attention_output_bias, w.wo);
  }

  void PerHead(const std::string& name, size_t rows, size_t cols, std::vector<Linear>& to) {
    std::vector<TensorReader::Part> parts;
    parts.reserve(to.size());
    for (Linear& head : to) parts.push_back({&head.weight, rows});
    tensors_.Matrix(name + ".weight", cols, parts, {cols, rows, to.size()});
    float scale = 1;
    tensors_.Scale(name, scale);
    for (Linear& head : to) head.scale = scale;
  }

  void DenseFeedForward(const std::string& prefix, const std::string& suffix, size_t rows,
                        FeedForward& w) {
    const size_t dim = config_.dim;
    // Phi-3 stacks the gate's rows above those of "up", in one tensor that is named after the
    // latter.
    // Encoders may have the two apart.
    const bool apart = family_.encoder && tensors_.Has(prefix + "ffn_gate" + suffix + ".weight");
    if (family_.fused_gate && !apart) {
      tensors_.Matrix(prefix + "ffn_up" + suffix + ".weight", dim,
                      {{&w.gate.weight, rows}, {&w.up.weight, rows}});
      tensors_.Scale(prefix + "ffn_up" + suffix, w.up.scale);
      w.gate.scale = w.up.scale;
    } else {
      if (family_.gated) {
        LoadLinear(prefix + "ffn_gate" + suffix, rows, dim, family_.ffn_bias, w.gate);
      }
      LoadLinear(prefix + "ffn_up" + suffix, rows, dim, family_.ffn_bias, w.up);
    }
    LoadLinear(prefix + "ffn_down" + suffix, dim, rows, family_.ffn_bias, w.down);
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
    tensors_.LoadNorm(name, config_.dim, family_, out);
  }
  void Bias(const std::string& name, Presence presence, size_t n, std::vector<float>& out) {
    tensors_.Bias(name, presence, n, out);
  }
  void LoadLinear(const std::string& name, size_t rows, size_t cols, Presence bias, Linear& out) {
    tensors_.LoadLinear(name, rows, cols, bias, out);
  }

  const ModelConfig& config_;
  const Architecture& family_;
  TensorReader tensors_;
};

}  // namespace

Result<Weights> LoadWeights(const GgufFile& file, const ModelConfig& config, ThreadPool& pool,
                            const TensorDone& done) {
  return Loader(file, config, &pool, done).Load();
}

Result<Weights> LoadMtpWeights(const GgufFile& file, const ModelConfig& config, size_t block,
                               const Weights& trunk, ThreadPool& pool, const TensorDone& done) {
  return Loader(file, config, &pool, done).LoadMtp(block, trunk);
}

Status CheckWeights(const GgufFile& file, const ModelConfig& config, const TensorDone& done) {
  return Loader(file, config, nullptr, done).Load().map([](const Weights&) {});
}

}  // namespace lockstep
