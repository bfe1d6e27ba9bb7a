// A small llama-architecture model with random weights, as a GGUF file in memory. The same options
// give the same bytes on every platform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "tests/support/gguf_builder.h"

namespace lockstep {

struct TinyModelOptions {
  uint64_t seed = 1;
  size_t dim = 64;
  size_t layers = 2;
  size_t heads = 4;
  size_t kv_heads = 2;
  size_t head_dim = 16;
  size_t ffn_dim = 96;
  size_t vocab = 320;  // at least 260: <unk>, <s>, </s>, 256 bytes, then pieces
  size_t context = 128;
  DType type = DType::kF32;  // of the matrices; its blocks must divide the dimensions
  bool tied = true;          // no output.weight of its own
};

GgufBuilder TinyModelBuilder(const TinyModelOptions& options = {});
std::vector<uint8_t> TinyModel(const TinyModelOptions& options = {});

}  // namespace lockstep
