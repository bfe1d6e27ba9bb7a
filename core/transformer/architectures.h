// The model families that lockstep runs, one row each: what their forward passes and their files
// differ in. What may differ between models of a family is in ModelConfig.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

enum class NormKind { kRms, kLayer };
enum class RopePairs { kNone, kAdjacent, kHalves };  // which two values of a head rotate together
enum class QkNorm { kNone, kHead, kAll };            // each head by itself, or all at once
// GELU in its form with tanh, or as it is defined, by the error function.
enum class Activation { kSilu, kGelu, kGeluErf, kReluSquared, kClampedSilu };
enum class HeadActivation { kTanh, kGeluErf, kSilu };  // between a score's two matrices
// What layers do instead of attention, or beside it: a state of a fixed size stands for all before.
enum class Recurrence { kNone, kDeltaNet, kShortConvolution, kMamba2 };
// Which layers have one: those that a key names, or all but the last of each period; those without
// key/value heads; those with neither these nor a feed-forward network, where each layer has one
// branch only; or all, beside their attention.
enum class RecurrentLayers { kNamed, kNoKeyHeads, kNoOtherBranch, kAll };
// What a mixture's scores become before experts are chosen by them; in GGUF's order, from 1.
enum class Gating { kSoftmax = 1, kSigmoid, kSoftmaxOfChosen, kRootSoftplus };
// Whether files of a family have a tensor or key: never, where they like, or always.
enum class Presence { kNo, kMay, kMust };

struct Architecture {
  const char* name;  // general.architecture, and what its other keys start with

  NormKind norm = NormKind::kRms;
  bool pre_norm = true;         // of what goes into attention and feed-forward
  bool post_norm = false;       // of what comes out, before it is added
  bool stream_norm = false;     // of the sum, after it was added
  bool norm_bias = true;        // LayerNorm adds one
  bool embedding_norm = false;  // token_embd_norm: of what goes into the first layer
  bool may_lack_attn_norm = false;

  // Each token attends to all others of its text, and what comes out is a vector for the text.
  bool encoder = false;
  Presence token_types = Presence::kNo;  // a row of token_types.weight is added to each token
  bool distance_slopes = false;          // scores fall with the distance of positions (ALiBi)
  // Pairs are scored by the mean of their rows and by way of GELU, where the file does not say;
  // else by their first row and tanh.
  bool scores_mean = false;
  // The output's matrix makes a vector shorter or longer, and does not score tokens.
  bool projects_output = false;

  RopePairs pairs = RopePairs::kHalves;
  bool learned_positions = false;  // position_embd.weight is added to the embeddings
  size_t no_rope_period = 0;       // if not 0: the last of as many layers does not rotate
  bool sections = false;           // several streams of positions, which are one for text
  bool yarn_betas = true;          // YaRN's bounds are the file's, else 32 and 1

  QkNorm qk_norm = QkNorm::kNone;
  bool qk_norm_last = false;  // after the rotation
  bool may_lack_qk_norm = false;
  bool value_norm = false;      // of each value vector, without weights
  bool may_lack_value = false;  // without attn_v, values are keys before norm and rotation
  bool sinks = false;           // a learned score of each head that has no value
  // Keys and values of all heads are made from one short vector (DeepSeek's latent attention).
  bool latent = false;
  bool scales_queries = false;  // by a slowly rising function of the position, if a key says so
  bool shares_kv = false;       // the last layers read keys and values of earlier ones
  bool unscaled_scores = false;
  Presence qkv_bias = Presence::kNo;
  Presence attention_output_bias = Presence::kNo;
  // Where there is a sliding window: all but the last of as many layers have it; 0: every layer.
  size_t window_period = 0;
  bool whole_first = false;        // the first of as many instead
  size_t window_model_layers = 0;  // if not 0: models of as many layers have windows, others none
  bool may_have_window = true;     // else the key is ignored
  bool window_heads = false;       // layers with the window have heads of another size
  bool rotates_windows_only = false;  // where there are layers with a window
  size_t default_window = 0;          // positions; 0: none unless the file says so
  bool plain_window_rope = false;     // layers with the window do not scale their angles
  double window_rope_base = 0;        // the base of those layers, if so; 0: that of the others
  float attention_soft_cap = 0;       // where the file does not say
  float logit_soft_cap = 0;           // where the file does not say
  size_t average_scale_layers = 0;    // with as many layers, scores / sqrt(dim / heads)
  bool gated_attention = false;       // attn_q has a gate of the output for each value of a query

  Recurrence recurrence = Recurrence::kNone;
  RecurrentLayers recurrent_layers = RecurrentLayers::kNamed;
  size_t attention_period = 0;  // the last of as many layers attends, where the file does not say
  // The value heads of a key head are side by side, with the rows of all that is theirs.
  bool adjacent_value_heads = false;
  bool may_lack_state_norm = false;  // of what comes out of Mamba-2

  Activation activation = Activation::kSilu;
  bool gated = true;        // else what is activated is not multiplied by another
  bool fused_gate = false;  // ffn_up holds the gate's rows, then its own
  Presence ffn_bias = Presence::kNo;
  const char* ffn_norm = "ffn_norm";  // what files call the norm before it
  bool bare_ffn_norm = false;         // they may do so without ".weight"

  Presence experts = Presence::kNo;
  Gating gating = Gating::kSoftmax;      // where the file does not say
  bool normalize_experts = true;         // unless it says: those of the chosen add up to 1
  bool fixed_router = false;             // whatever the file says
  Presence choice_bias = Presence::kNo;  // exp_probs_b, which only the choice knows of
  Presence router_bias = Presence::kNo;
  Presence expert_bias = Presence::kNo;
  Presence shared_expert = Presence::kNo;  // one that every token goes to
  bool gated_shared_expert = false;        // by a sigmoid
  // The dense network is in all layers, beside the experts of those that have a router.
  bool dense_beside_experts = false;
  bool layer_inputs = false;  // each layer may have an embedding of the token of its own
  bool layer_scale = false;   // a layer's output may have a factor

  bool scaled_embedding = false;            // by sqrt(dim)
  const char* output_norm = "output_norm";  // nullptr: none
  bool mtp = false;                         // blocks behind the layers guess ahead (MtpWeights)
  bool needs_logit_scale = false;           // logit_scale must be in the file
  bool may_not_rotate = false;              // where rope.scaling.finetuned is false
  bool may_be_parallel = false;             // use_parallel_residual must be in the file
  Presence output = Presence::kMay;         // output.weight; without it the embedding is used
};

// Those that generate, and those that encode, in the order of their names.
std::span<const Architecture> Architectures();
std::span<const Architecture> EncoderArchitectures();
const Architecture* FindArchitecture(std::string_view name);  // nullptr if it is not known
std::string KnownArchitectures();                             // all: "gemma2, llama and bert"

}  // namespace lockstep
