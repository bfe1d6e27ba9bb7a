// The block that guesses ahead, as published code has it (Qwen3_5MultiTokenPredictor of vLLM's
// qwen3_5_mtp.py, graph_mtp of llama.cpp's qwen35.cpp): what goes in is
//
//   fc * [norm(embedding of token t + 1), norm(h of token t)]
//
// where h is what the model's last norm gives out, or for tokens that it guessed itself, its own.
#include <string>

#include "tests/support/reference_model.h"

namespace lockstep {

ReferenceModel::Rows ReferenceModel::GuessAhead(std::span<const int32_t> tokens, size_t own) const {
  const size_t block = config_.layers.size(), rows = tokens.size() - 1;
  const std::string nextn = "blk." + std::to_string(block) + ".nextn.";
  const auto or_else = [](Matrix found, const Matrix& otherwise) {
    return found.rows != 0 ? found : otherwise;
  };
  const Matrix embedding = or_else(Load(nextn + "embed_tokens"), embedding_);
  const Matrix head = or_else(Load(nextn + "shared_head_head"), output_);
  const Matrix head_norm = or_else(Load(nextn + "shared_head_norm"), output_norm_);
  const Matrix embedding_norm = Load(nextn + "enorm"), hidden_norm = Load(nextn + "hnorm");
  const Matrix fc = Load(nextn + "eh_proj");
  ModelConfig with_block = config_;
  with_block.layers.push_back(MtpConfig(config_)->layers[0]);
  with_block.layers[block].kv_layer = block;
  const ReferenceModel deep(file_, with_block);

  Rows hidden = Layers(tokens.first(tokens.size() - own)), out;
  hidden.pop_back();
  for (size_t known = rows - own; known <= rows; ++known) {
    Rows e, x;
    for (size_t t = 0; t < known; ++t) {
      e.push_back(embedding.Part(static_cast<size_t>(tokens[t + 1]), 1).values);
    }
    e = Norm(embedding_norm, e);
    const Rows h = Norm(hidden_norm, hidden);
    for (size_t t = 0; t < known; ++t) {
      x.push_back(e[t]);
      x.back().insert(x.back().end(), h[t].begin(), h[t].end());
    }
    x = fc.Times(x);
    std::vector<KeysAndValues> kv(block + 1);
    deep.PassLayer(block, {}, kv, x);
    out = Norm(head_norm, x);
    hidden.push_back(out.back());
  }
  return head.Times(out);
}

}  // namespace lockstep
