// Rotary position embeddings: the angles by which the pairs of a head's values are turned.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace lockstep {

// How the angles are brought down for contexts longer than those that a model was first made for.
// Factors of each pair (llama 3, long-rope) are tensors of the file, and divide with any of these.
enum class RopeScaling {
  kNone,
  kLinear,    // every pair's frequency is divided by the factor
  kYarn,      // slow pairs are divided by it, fast ones are not, and between them it ramps
  kLongRope,  // only the factors of each pair divide
};

struct RopeConfig {
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;            // how many times longer the context has become
  double original_context = 0;  // positions that the model was first made for
  double magnitude = 1;         // the rotated values are multiplied by it
  // With YaRN also by (1 + numerator * 0.1 ln(factor)) / (1 + multiplier * 0.1 ln(factor)).
  double log_numerator = 1, log_multiplier = 0;
  double beta_fast = 32, beta_slow = 1;  // YaRN: turns within the original context
  bool operator==(const RopeConfig&) const = default;
};

// Pair i of position p is turned by p * frequency[i] and multiplied by magnitude.
struct RopeTable {
  std::vector<double> frequency;  // [dim / 2]
  double magnitude;
};

// What rotated values are multiplied by: the file's magnitude and YaRN's temperature together.
double RopeMagnitude(const RopeConfig& config);

// pair_factors: [dim / 2], or empty.
RopeTable MakeRopeTable(const RopeConfig& config, size_t dim, std::span<const float> pair_factors);

}  // namespace lockstep
