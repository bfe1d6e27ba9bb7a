// The rows of the models that encode: each token attends to all others of its text, and what comes
// out is a vector or a score. Apart from those that generate, as no question about the ones is one
// about the others.
#include "core/transformer/architectures.h"

namespace lockstep {
namespace {

constexpr auto kMay = Presence::kMay, kMust = Presence::kMust, kNo = Presence::kNo;

// What BERT and those that came of it have in common; a row says what is its own.
template <class Own>
constexpr Architecture BertLike(const char* name, const Own& own) {
  Architecture bert{.name = name,
                    .norm = NormKind::kLayer,
                    .pre_norm = false,
                    .stream_norm = true,
                    .embedding_norm = true,
                    .encoder = true,
                    .token_types = kMay,
                    .qkv_bias = kMay,
                    .attention_output_bias = kMay,
                    .may_have_window = false,
                    .activation = Activation::kGeluErf,
                    .gated = false,
                    .ffn_bias = kMay,
                    .output_norm = nullptr,
                    .output = kNo};
  own(bert);
  return bert;
}

// The rows stand in the order of their names.
constexpr Architecture kEncoders[] = {
    BertLike("bert",
             [](Architecture& a) {
               a.pairs = RopePairs::kNone;
               a.learned_positions = true;
             }),
    {.name = "eurobert", .encoder = true, .may_have_window = false, .output = kNo},
    {.name = "gemma-embedding",
     .post_norm = true,
     .encoder = true,
     .qk_norm = QkNorm::kHead,
     .window_period = 6,
     .plain_window_rope = true,
     .window_rope_base = 10000,
     .activation = Activation::kGelu,
     .scaled_embedding = true,
     .output = kNo},
    {.name = "gemma-embedding2",
     .post_norm = true,
     .encoder = true,
     .projects_output = true,
     .qk_norm = QkNorm::kHead,
     .value_norm = true,
     .unscaled_scores = true,
     .window_period = 6,
     .window_heads = true,
     .plain_window_rope = true,
     .window_rope_base = 10000,
     .activation = Activation::kGelu,
     .layer_inputs = true,
     .layer_scale = true,
     .scaled_embedding = true,
     .output = kNo},
    BertLike("jina-bert-v2",
             [](Architecture& a) {
               a.distance_slopes = true;
               a.pairs = RopePairs::kNone;
               a.qk_norm = QkNorm::kAll;
               a.may_lack_qk_norm = true;
               a.gated = a.fused_gate = true;
             }),
    BertLike("jina-bert-v3", [](Architecture&) {}),
    {.name = "llama-embed",
     .encoder = true,
     .pairs = RopePairs::kAdjacent,
     .qkv_bias = kMay,
     .attention_output_bias = kMay,
     .may_have_window = false,
     .ffn_bias = kMay,
     .experts = kMay,
     .output = kNo},
    {.name = "modern-bert",
     .norm = NormKind::kLayer,
     .norm_bias = false,
     .embedding_norm = true,
     .may_lack_attn_norm = true,
     .encoder = true,
     .scores_mean = true,
     .window_period = 3,
     .whole_first = true,
     .plain_window_rope = true,
     .window_rope_base = 10000,
     .activation = Activation::kGeluErf,
     .fused_gate = true,
     .output = kNo},
    BertLike("nomic-bert",
             [](Architecture& a) {
               a.activation = Activation::kSilu;
               a.gated = true;
             }),
    BertLike("nomic-bert-moe",
             [](Architecture& a) {
               a.experts = kMust;
               a.normalize_experts = false;
               a.fixed_router = true;
             }),
};

}  // namespace

std::span<const Architecture> EncoderArchitectures() { return kEncoders; }

}  // namespace lockstep
