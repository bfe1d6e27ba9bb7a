// What a model that encodes is asked to make of a text.
#pragma once

#include <cstdint>

namespace lockstep {

enum class TextForm : uint8_t {
  kUnit,    // a vector of length 1
  kPooled,  // the vector as it is before it is brought to that length
  kTokens,  // what the last layer made of each token, as it is
};

}  // namespace lockstep
