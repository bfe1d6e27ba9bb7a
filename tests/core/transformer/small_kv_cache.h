// The shape of small caches for tests, and what they store.
#pragma once

#include <cstddef>

#include "core/transformer/model_config.h"

namespace lockstep {

inline ModelConfig SmallConfig(size_t head_dim = 24) {
  ModelConfig c;
  for (size_t i = 0; i < 3; ++i) {
    c.layers.push_back(
        {.heads = 4, .kv_heads = 2, .head = {.key = head_dim, .value = head_dim}, .kv_layer = i});
  }
  return c;
}

// A value that tells layer, head, position and dimension apart, exact as a half.
inline float Mark(size_t layer, size_t head, size_t position, size_t d, bool key) {
  const size_t mixed = layer * 20011 + head * 7001 + position * 101 + d * 2 + (key ? 1 : 0);
  return static_cast<float>(mixed % 2039);
}

}  // namespace lockstep
