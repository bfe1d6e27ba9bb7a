// Writes a GGUF file of a published model's widths with random weights, which take the time that
// trained ones take: what tests/bench/compare measures the families of 2026 by. Layers are as many
// as fit a small machine with two engines, as each takes the same time.
//
//   published_shape                  prints the names of the models
//   published_shape NAME TYPE OUT    TYPE is that of the matrices: Q4_0, Q8_0, MXFP4, ...
//
// What TinyModel cannot have is left as it is: Gemma's windowed layers have two heads of keys and
// values instead of one, attention comes every third layer of LFM2, and vocabularies are of the
// published size but have no published tokens.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/peers/command.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

struct Shape {
  const char* name;
  const char* family;  // of TinyFamilies, whose kinds of layers it has
  void (*set)(TinyModelOptions&);
};

void Qwen35(TinyModelOptions& o) {
  o.dim = 2048, o.head_dim = 256, o.rope_dim = 64, o.rope_base = 10000000, o.kv_heads = 2;
  o.attention_period = 4, o.state_dim = 128, o.state_keys = 16, o.vocab = 248320;
}

constexpr Shape kShapes[] = {
    {"qwen3.5-2b", "qwen35",
     [](TinyModelOptions& o) {
       Qwen35(o);
       o.layers = 24, o.heads = 8, o.ffn_dim = 6144, o.state_values = 16;
     }},
    {"qwen3.6-35b-a3b", "qwen35moe",  // of 40 layers
     [](TinyModelOptions& o) {
       Qwen35(o);
       o.layers = 4, o.heads = 16, o.state_values = 32, o.tied = false;
       o.experts = 256, o.experts_used = 8, o.ffn_dim = 512, o.shared_ffn_dim = 512;
     }},
    {"gemma-4-e2b", "gemma4",
     [](TinyModelOptions& o) {
       o.dim = 1536, o.layers = 35, o.heads = 8, o.kv_heads = 2, o.ffn_dim = 6144;
       o.head_dim = 512, o.window_head_dim = 256, o.window = 512, o.shared_kv = 20;
       o.layer_input_dim = 256, o.vocab = 262144, o.soft_cap = 120;
       o.windows.clear();
       for (size_t layer = 0; layer < o.layers; ++layer) o.windows.push_back(layer % 5 != 4);
     }},
    {"gpt-oss-20b", "gpt-oss",  // of 24 layers
     [](TinyModelOptions& o) {
       o.dim = 2880, o.layers = 4, o.heads = 64, o.kv_heads = 8, o.head_dim = 64;
       o.experts = 32, o.experts_used = 4, o.ffn_dim = 2880, o.window = 128, o.vocab = 201088;
       o.original_context = 4096, o.tied = false;
     }},
    {"lfm2-1.2b", "lfm2",
     [](TinyModelOptions& o) {
       o.dim = 2048, o.layers = 16, o.heads = 32, o.kv_heads = 8, o.head_dim = 64;
       o.ffn_dim = 8192, o.rope_base = 1000000, o.attention_period = 3, o.vocab = 65536;
     }},
    {"glm-4.7-flash", "deepseek2",  // of 47 layers
     [](TinyModelOptions& o) {
       o.dim = 2048, o.layers = 5, o.heads = 20, o.query_rank = 768, o.kv_rank = 512;
       o.head_dim = 256, o.rope_dim = 64, o.value_dim = 256, o.rope_base = 1000000;
       o.experts = 64, o.experts_used = 4, o.ffn_dim = 1536, o.shared_ffn_dim = 1536;
       o.dense_layers = 1, o.dense_ffn_dim = 10240, o.groups = 1, o.groups_used = 1;
       o.vocab = 154880, o.tied = false, o.temperature = 0, o.temperature_length = 0;
       o.rope_scaling.clear(), o.rope_factor = 0, o.original_context = 0, o.log_multiplier = 0;
     }},
};

WeightType TypeOf(const std::string& name) {
  for (size_t i = 0; i < kWeightTypes; ++i) {
    const auto type = static_cast<WeightType>(i);
    if (FormatOf(type).name == name) return type;
  }
  throw std::runtime_error(name + ": no such type of weights");
}

TinyModelOptions OptionsOf(const Shape& shape) {
  for (auto [family, options] : TinyFamilies()) {
    if (std::string_view(family) != shape.family) continue;
    options.context = 8192;
    shape.set(options);
    return options;
  }
  throw std::runtime_error(fmt::format("{}: no such family", shape.family));
}

void Run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1) {
    for (const Shape& shape : kShapes) fmt::print("{}\n", shape.name);
    return;
  }
  const auto* const shape =
      arguments.size() != 4 ? std::end(kShapes)
                            : std::find_if(std::begin(kShapes), std::end(kShapes),
                                           [&](const Shape& s) { return arguments[1] == s.name; });
  if (shape == std::end(kShapes)) {
    throw std::runtime_error("wants a name that it prints without arguments, a type and a file");
  }
  TinyModelOptions options = OptionsOf(*shape);
  options.type = TypeOf(arguments[2]);
  WriteFile(arguments[3], TinyModel(options));
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  return lockstep::RunCommand("published_shape", argc, argv, lockstep::Run);
}
