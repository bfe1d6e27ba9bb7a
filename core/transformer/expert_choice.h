// Which experts of a mixture take a token, and with what weight. In double precision and made of
// IEEE basic operations only: the same on every machine.
#pragma once

#include <cstddef>
#include <span>

#include "core/transformer/model_config.h"

namespace lockstep {

struct ChosenExpert {
  size_t expert;
  float weight;
};

// The experts_used experts of the largest probability (the first of equal ones), largest first.
// REQUIRES: the sizes of config.
void ChooseExperts(const ModelConfig& config, std::span<const float> scores /* [experts] */,
                   std::span<ChosenExpert> chosen /* [experts_used] */);

}  // namespace lockstep
