// Tiny models of what encodes, and of what scores pairs.
#include <functional>

#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using Add = std::function<TinyModelOptions&(const char* name, const char* architecture)>;

// What scores pairs.
void Rankers(const Add& add) {
  const auto rank = [&](const char* name, const char* architecture) -> TinyModelOptions& {
    TinyModelOptions& o = add(name, architecture);
    o.pooling = 4, o.scores = 1;
    return o;
  };
  rank("bert-rank", "bert").hidden_scores = true;
  rank("bert-rank-bare", "bert").may_biases = false;
  TinyModelOptions& modern = rank("modern-bert-rank", "modern-bert");
  modern.hidden_scores = true, modern.window = 9, modern.may_biases = false;
  TinyModelOptions& qwen3 = rank("qwen3-rank", "qwen3");
  qwen3.encodes = true, qwen3.head_dim = 32, qwen3.kv_heads = 2, qwen3.scores = 2;
}

// Families that generate, or of whose layers some do.
void Decoders(const Add& add) {
  TinyModelOptions& qwen3 = add("qwen3", "qwen3");
  qwen3.encodes = true, qwen3.pooling = 3, qwen3.head_dim = 32, qwen3.kv_heads = 2;
  qwen3.tied = false;
  TinyModelOptions& gemma2 = add("gemma2", "gemma2");
  gemma2.encodes = true, gemma2.window = 20, gemma2.kv_heads = 2;
  add("llama-embed", "llama-embed").kv_heads = 2;
  add("eurobert", "eurobert").pooling = 3;
  TinyModelOptions& gemma = add("gemma-embedding2", "gemma-embedding2");
  gemma.windows = {true, true, false, true}, gemma.window = 8, gemma.window_head_dim = 16;
  gemma.head_dim = 32, gemma.layer_input_dim = 32, gemma.rope_base = 1e6;
}

}  // namespace

std::vector<TinyFamily> TinyEncoders() {
  std::vector<TinyFamily> all;
  const Add add = [&](const char* name, const char* architecture) -> TinyModelOptions& {
    TinyModelOptions options;
    options.architecture = architecture;
    options.kv_heads = options.heads;
    options.layers = 4;
    options.may_biases = true;
    all.push_back({name, options});
    return all.back().options;
  };
  add("bert", "bert");
  TinyModelOptions& first = add("bert-first", "bert");
  first.fused_qkv = true, first.pooling = 2, first.may_biases = false;
  add("bert-last", "bert").pooling = 3;
  TinyModelOptions& nomic = add("nomic-bert", "nomic-bert");
  nomic.fused_qkv = true, nomic.may_biases = false;  // of gates, which other programs refuse
  TinyModelOptions& jina = add("jina-bert-v2", "jina-bert-v2");
  jina.heads = jina.kv_heads = 6, jina.dim = 96;
  add("jina-bert-v3", "jina-bert-v3");
  TinyModelOptions& modern = add("modern-bert", "modern-bert");
  modern.fused_qkv = true, modern.window = 9, modern.rope_base = 160000;
  TinyModelOptions& gemma = add("gemma-embedding", "gemma-embedding");
  gemma.layers = 7, gemma.kv_heads = 1, gemma.window = 8, gemma.rope_base = 1e6;
  TinyModelOptions with_dense = gemma;
  with_dense.dense = {96, 64};
  add("gemma-embedding-dense", "gemma-embedding") = with_dense;
  TinyModelOptions& extra = add("jina-bert-v2-norms", "jina-bert-v2");
  extra.extra_norms = true;
  TinyModelOptions& moe = add("nomic-bert-moe", "nomic-bert-moe");
  moe.experts = 4, moe.experts_used = 2, moe.expert_step = 2, moe.fused_qkv = true;
  Decoders(add);
  Rankers(add);
  return all;
}

TinyModelOptions TinyBert() {
  TinyModelOptions options;
  options.architecture = "bert";
  options.kv_heads = options.heads;
  options.may_biases = true;
  return options;
}

}  // namespace lockstep
