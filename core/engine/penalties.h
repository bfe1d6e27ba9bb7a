// What the tokens of a text lose or gain for having come in it: the penalties for repetition,
// presence and frequency, and DRY. One sequence's; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/sampling_params.h"

namespace lockstep {

class Penalties {
 public:
  explicit Penalties(size_t vocab);  // allocates Bytes
  static size_t Bytes(size_t vocab) {
    return vocab * (sizeof(int32_t) + sizeof(uint8_t) + sizeof(uint32_t));
  }
  // What Reset allocates for these, for a text of so many tokens.
  static size_t ExtraBytes(const SamplingParams& params, size_t vocab, size_t longest);

  // Starts a new sequence, of at most `longest` tokens, prompt and output together. `prompt` must
  // outlive it. Allocates ExtraBytes. REQUIRES: ids in [0, vocab).
  void Reset(const SamplingParams& params, std::span<const int32_t> prompt, size_t longest);
  void Count(int32_t token);  // as output
  // Where a window is given, `output` is what has come after the prompt. REQUIRES: the parameters
  // of Reset.
  void Apply(const SamplingParams& params, std::span<const int32_t> output,
             std::span<float> logits /* [vocab] */);

 private:
  void See(int32_t token);
  // What is counted of prompt and output from the end: at most last_n tokens, -1 for all.
  size_t Window(int32_t last_n, std::span<const int32_t> output) const;
  int32_t FromEnd(size_t i, std::span<const int32_t> output) const;  // 0: the last token
  void ApplyRepeats(const SamplingParams& params, std::span<const int32_t> output,
                    std::span<float> logits);
  void ApplyRuns(const DryParams& dry, std::span<const int32_t> output, std::span<float> logits);

  std::vector<int32_t> seen_;           // distinct tokens of prompt and output
  std::vector<uint8_t> is_seen_;        // [vocab]
  std::vector<uint32_t> output_count_;  // [vocab]
  std::span<const int32_t> prompt_;
  std::vector<uint32_t> count_;  // [vocab] zeros, if the penalties have a window, or with DRY
  std::vector<uint32_t> alike_;  // with DRY: for each token from the end, how long a run ends there
};

}  // namespace lockstep
