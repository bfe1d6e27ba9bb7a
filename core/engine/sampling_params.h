// What a request says of how its tokens are chosen, checked. The defaults are those of /generate.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace lockstep {

// Don't Repeat Yourself (p-e-w, 2024): a token that would make the end of the text longer than
// `allowed_length` tokens alike to an earlier place loses multiplier * base ^ (length -
// allowed_length).
struct DryParams {
  float multiplier = 0;  // 0: off
  float base = 1.75f;    // at least 1
  int32_t allowed_length = 2;
  int32_t last_n = -1;  // tokens that are looked at; -1: all
  // [vocab] the tokens that no repetition reaches across; null: none.
  std::shared_ptr<const std::vector<bool>> breakers;
};

struct SamplingParams {
  float temperature = 0.8f;         // 0 is greedy: the largest logit, the lowest id among equals
  int32_t top_k = 40;               // 0: off
  float top_p = 0.95f;              // 1: off
  float min_p = 0.05f;              // 0: off
  float repetition_penalty = 1.0f;  // on tokens of prompt and output (CTRL, Keskar et al. 2019)
  float presence_penalty = 0.0f;    // on tokens of the output, as OpenAI defines it
  float frequency_penalty = 0.0f;   // on such tokens, times how often each came
  // Tokens, the last ones of prompt and output, that the three penalties count; -1: as above.
  int32_t repeat_last_n = -1;
  DryParams dry;
  // The temperature is from temperature - range to temperature + range, as the entropy of the
  // distribution is from none to the most (Zhu et al., 2024); a range of 0: off.
  float dynatemp_range = 0, dynatemp_exponent = 1;
  // Logits that are so many standard deviations below the largest are cut off (Tang et al., 2024);
  // 0 or less: off.
  float top_n_sigma = -1;
  float typical_p = 1;  // locally typical sampling (Meister et al., 2023); 1: off
  // With this probability all tokens but the last of those that have at least the threshold are
  // cut off ("exclude top choices"); 0, or a threshold above 0.5: off.
  float xtc_probability = 0, xtc_threshold = 0.1f;
  std::vector<std::pair<int32_t, float>> logit_bias;  // added to the logits first
  uint64_t seed = 0;
  int32_t logprobs = -1;  // -1: none; 0: the chosen token's; n: also those of the n likeliest
};

}  // namespace lockstep
