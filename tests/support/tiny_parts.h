// The parts of a tiny model's file: tensors with random values, metadata and a small vocabulary.
#pragma once

#include <string>
#include <vector>

#include "core/kernels/layout.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/random.h"
#include "tests/support/tiny_model.h"

namespace lockstep {

// Values between low and high; of types that are not encoded here, random bytes of the same
// standard deviation.
GgufBuilder::Tensor RandomTensor(Random& random, std::string name, size_t rows, size_t cols,
                                 float low, float high, WeightType type);

void SetMetadata(const TinyModelOptions& options, GgufBuilder& file);

// SentencePiece's: <unk>, <s>, </s>, 256 bytes, then pieces.
void SetTokenizer(GgufBuilder& file, size_t vocab);

}  // namespace lockstep
