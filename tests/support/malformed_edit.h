// Ways to spoil a model file, for the rows of the malformed table.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/malformed_gguf.h"

namespace lockstep {

using Maker = std::function<void(const TempFile&)>;
using Edit = std::function<void(GgufBuilder&)>;

inline void WriteText(const TempFile& file, const std::string& bytes) {
  file.Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

inline Maker Raw(std::string bytes) {
  return [bytes = std::move(bytes)](const TempFile& file) { WriteText(file, bytes); };
}

inline Maker Edited(Edit edit) {
  return [edit = std::move(edit)](const TempFile& file) {
    GgufBuilder builder = TinyModelBuilder(MalformedBase());
    edit(builder);
    file.Write(builder.Build());
  };
}

// One pair and nothing else, so that the file ends where the pair does.
inline Maker OnePair(GgufBuilder::Pair pair) {
  GgufBuilder builder;
  builder.pairs.push_back(std::move(pair));
  const std::vector<uint8_t> bytes = builder.Build();
  return Raw({bytes.begin(), bytes.end()});
}

inline Maker SetU32(const std::string& key, uint32_t value) {
  return Edited([=](GgufBuilder& b) { b.SetU32(key, value); });
}
inline Maker SetF32(const std::string& key, float value) {
  return Edited([=](GgufBuilder& b) { b.SetF32(key, value); });
}
inline Maker EditTensor(const std::string& name, std::function<void(GgufBuilder::Tensor&)> edit) {
  return Edited([=](GgufBuilder& b) { edit(b.GetTensor(name)); });
}
inline Maker AddTensor(GgufBuilder::Tensor tensor) {
  return Edited([=](GgufBuilder& b) { b.tensors.push_back(tensor); });
}

// The parts of the table.
std::vector<MalformedCase> HeaderCases();
std::vector<MalformedCase> PairCases();
std::vector<MalformedCase> ModelCases();
std::vector<MalformedCase> TokenizerCases();
std::vector<MalformedCase> TensorCases();
std::vector<MalformedCase> DataCases();
std::vector<MalformedCase> FamilyCases();

}  // namespace lockstep
