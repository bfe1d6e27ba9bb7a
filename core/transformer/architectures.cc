// A family differs from another in a handful of traits, not in its code: transformer.cc asks the
// row for each of them. So a new family whose traits exist is one row, and a new trait is one
// question.
#include "core/transformer/architectures.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr auto kMay = Presence::kMay, kMust = Presence::kMust;

// The rows are in the order of their names. Their values are those of the published models and of
// the programs that convert them to GGUF.
constexpr Architecture kArchitectures[] = {
    {.name = "gemma2",
     .post_norm = true,
     .window_period = 2,
     .default_window = 4096,
     .attention_soft_cap = 50,
     .logit_soft_cap = 30,
     .average_scale_layers = 46,  // the 27B
     .activation = Activation::kGelu,
     .scaled_embedding = true},
    {.name = "gemma3",
     .post_norm = true,
     .qk_norm = QkNorm::kHead,
     .window_period = 6,
     .plain_window_rope = true,
     .window_rope_base = 10000,
     .average_scale_layers = 62,  // the 27B
     .activation = Activation::kGelu,
     .scaled_embedding = true},
    {.name = "gpt2",
     .norm = NormKind::kLayer,
     .pairs = RopePairs::kNone,
     .learned_positions = true,
     .qkv_bias = kMust,
     .attention_output_bias = kMust,
     .activation = Activation::kGelu,
     .gated = false,
     .ffn_bias = kMust},
    {.name = "gptneox",
     .norm = NormKind::kLayer,
     .qkv_bias = kMust,
     .attention_output_bias = kMust,
     .activation = Activation::kGelu,
     .gated = false,
     .ffn_bias = kMust,
     .may_be_parallel = true,
     .output = kMust},
    {.name = "granite",
     .pairs = RopePairs::kAdjacent,
     .qkv_bias = kMay,
     .attention_output_bias = kMay,
     .ffn_bias = kMay,
     .needs_logit_scale = true},
    {.name = "llama",
     .pairs = RopePairs::kAdjacent,
     .qkv_bias = kMay,
     .attention_output_bias = kMay,
     .ffn_bias = kMay,
     .experts = kMay},
    {.name = "olmo2",
     .pre_norm = false,
     .post_norm = true,
     .qk_norm = QkNorm::kAll,
     .window_period = 4,
     .plain_window_rope = true,
     .output = kMust},
    {.name = "phi3", .fused_gate = true},
    {.name = "qwen2", .qkv_bias = kMust},
    {.name = "qwen3", .qk_norm = QkNorm::kHead},
    {.name = "qwen3moe", .qk_norm = QkNorm::kHead, .experts = kMust},
    {.name = "smollm3", .pairs = RopePairs::kAdjacent, .no_rope_period = 4},
    {.name = "starcoder2",
     .norm = NormKind::kLayer,
     .qkv_bias = kMust,
     .attention_output_bias = kMust,
     .activation = Activation::kGelu,
     .gated = false,
     .ffn_bias = kMust},
};

}  // namespace

std::span<const Architecture> Architectures() { return kArchitectures; }

const Architecture* FindArchitecture(std::string_view name) {
  const auto* found = std::find_if(std::begin(kArchitectures), std::end(kArchitectures),
                                   [&](const Architecture& a) { return a.name == name; });
  return found != std::end(kArchitectures) ? found : nullptr;
}

std::string KnownArchitectures() {
  std::vector<std::string> names;
  for (const Architecture& a : kArchitectures) names.emplace_back(a.name);
  return Listed(names);
}

}  // namespace lockstep
