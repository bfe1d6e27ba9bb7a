// Which experts of a mixture take a token, and with what weight. In double precision and made of
// IEEE basic operations only: the same on every machine.
#pragma once

#include <cstddef>
#include <span>

#include "core/transformer/config_types.h"

namespace lockstep {

struct ChosenExpert {
  size_t expert;
  float weight;
};

// The config.used best experts (the first of equal ones), best first. A score becomes a gate by
// config.gating; the choice is by gate + bias, from the best groups; an expert's weight is its
// gate, without the bias, brought to a sum of 1 if the weights are normalized, times config.scale.
// REQUIRES: the sizes of config. `work` is overwritten.
void ChooseExperts(const MixtureConfig& config, std::span<const float> scores /* [experts] */,
                   std::span<const float> bias /* [experts], or empty */,
                   std::span<double> work /* [2 * experts] */,
                   std::span<ChosenExpert> chosen /* [used] */);

}  // namespace lockstep
