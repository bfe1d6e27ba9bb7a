// Rotary position embeddings (Su et al. 2021) with the ways to stretch them: position interpolation
// (Chen et al. 2023, kLinear) and YaRN (Peng et al. 2023). YaRN leaves the pairs alone that turn
// often within the original context, divides those that turn rarely, and ramps between the two. In
// double by our own exp and log, so that every machine has the same angles.
#include "core/transformer/rope.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/det_math.h"

namespace lockstep {
namespace {

constexpr double kTwoPi = 6.28318530717958647693;

// The pair, as a real number, that makes `turns` turns within the original context. Pair i turns by
// base^(-2i / dim) at each position, so it has turned by original_context * base^(-2i / dim) at the
// end; that is set to 2 pi * turns and solved for i.
double PairOfTurns(const RopeConfig& c, size_t dim, double turns) {
  return static_cast<double>(dim) * DetLog(c.original_context / (turns * kTwoPi)) /
         (2 * DetLog(c.base));
}

}  // namespace

// YaRN's temperature, sqrt(1 / t) = 0.1 ln(factor) + 1: queries and keys are both multiplied by it,
// so that their scores are by its square. Models that have it in their scores divide it out.
double RopeMagnitude(const RopeConfig& c) {
  if (c.scaling != RopeScaling::kYarn || c.factor <= 1) return c.magnitude;
  const double ln = DetLog(c.factor);
  if (c.log_multiplier == 0) return c.magnitude * (1 + 0.1 * ln);
  return c.magnitude * (1 + 0.1 * c.log_numerator * ln) / (1 + 0.1 * c.log_multiplier * ln);
}

RopeTable MakeRopeTable(const RopeConfig& c, size_t dim, std::span<const float> pair_factors) {
  RopeTable table{{}, RopeMagnitude(c)};
  const double log_base = DetLog(c.base);
  double low = 0, high = 0;  // pairs below are fast, pairs above slow
  if (c.scaling == RopeScaling::kYarn) {
    low = std::max(0.0, std::floor(PairOfTurns(c, dim, c.beta_fast)));
    high = std::min(static_cast<double>(dim - 1), std::ceil(PairOfTurns(c, dim, c.beta_slow)));
  }
  for (size_t i = 0; i < dim / 2; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(dim);
    // base^(-2i / dim), from 1 downwards: 1 radian a position for the first pair.
    double frequency = DetExp(-exponent * log_base);
    if (!pair_factors.empty()) frequency /= pair_factors[i];
    if (c.scaling == RopeScaling::kLinear) frequency /= c.factor;
    if (c.scaling == RopeScaling::kYarn) {
      // 0.001 avoids a division by zero where both bounds fall on the same pair, as YaRN's authors
      // do.
      const double ramp = (static_cast<double>(i) - low) / std::max(0.001, high - low);
      const double slow = std::clamp(ramp, 0.0, 1.0);
      frequency = frequency / c.factor * slow + frequency * (1 - slow);
    }
    table.frequency.push_back(frequency);
  }
  return table;
}

}  // namespace lockstep
