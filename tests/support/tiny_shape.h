// What the options of a tiny model say of each of its layers.
#pragma once

#include <cstddef>

#include "core/transformer/architectures.h"
#include "tests/support/tiny_model.h"

namespace lockstep {

inline constexpr size_t kProjected = 48;  // values of vectors that the output's matrix makes

// Refers to the options, which must outlive it.
class TinyShape {
 public:
  explicit TinyShape(const TinyModelOptions& options)
      : o_(options), family_(*FindArchitecture(options.architecture)) {}

  size_t RopeDim() const { return o_.rope_dim != 0 ? o_.rope_dim : o_.head_dim; }
  size_t ValueDim() const { return o_.value_dim != 0 ? o_.value_dim : o_.head_dim; }
  bool Windowed(size_t layer) const { return !o_.windows.empty() && o_.windows[layer]; }
  size_t Layers() const { return o_.layers + o_.skipped_layers; }
  // Layers of one branch take turns: a recurrent one, a feed-forward network, attention. Those that
  // guess ahead have the last two.
  bool OneBranch() const { return family_.recurrent_layers == RecurrentLayers::kNoOtherBranch; }
  bool Attends(size_t layer) const {
    if (family_.recurrence == Recurrence::kNone || layer >= o_.layers || Everywhere()) return true;
    return OneBranch() ? layer % 3 == 2 : layer % o_.attention_period == o_.attention_period - 1;
  }
  bool Recurs(size_t layer) const {
    return Everywhere() || (!Attends(layer) && (!OneBranch() || layer % 3 == 0));
  }
  bool FeedsForward(size_t layer) const {
    return !OneBranch() || layer >= o_.layers || layer % 3 == 1;
  }
  size_t KvHeads(size_t layer) const {
    const bool marks = OneBranch() || family_.recurrent_layers == RecurrentLayers::kNoKeyHeads;
    if (marks && !Attends(layer)) return 0;
    return o_.windows.empty() || Windowed(layer) ? o_.kv_heads : o_.kv_heads / 2;
  }
  // Values that recurrent layers give out. In Mamba-2 they are twice the embedding's, as one of the
  // peer's families wants it.
  size_t Inner() const {
    return family_.recurrence == Recurrence::kMamba2 ? 2 * o_.dim : o_.state_values * o_.state_dim;
  }
  size_t Channels() const { return 2 * o_.state_keys * o_.state_dim + Inner(); }
  size_t HeadDim(size_t layer) const {
    return o_.window_head_dim != 0 && Windowed(layer) ? o_.window_head_dim : o_.head_dim;
  }
  size_t ValueDim(size_t layer) const {
    return o_.window_head_dim != 0 && Windowed(layer) ? o_.window_head_dim : ValueDim();
  }
  size_t DenseFfn(size_t layer) const {
    if (!FeedsForward(layer)) return 0;
    const size_t plain = o_.dense_ffn_dim != 0 ? o_.dense_ffn_dim : o_.ffn_dim;
    return o_.shared_kv != 0 && layer >= o_.layers - o_.shared_kv ? 2 * plain : plain;
  }
  bool HasExperts(size_t layer) const {
    if (o_.experts == 0 || layer < o_.dense_layers || !FeedsForward(layer)) return false;
    return o_.expert_step == 0 || (layer + 1) % o_.expert_step == 0;
  }

 protected:
  bool Everywhere() const { return family_.recurrent_layers == RecurrentLayers::kAll; }

  const TinyModelOptions& o_;
  const Architecture& family_;
};

}  // namespace lockstep
