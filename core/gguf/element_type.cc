// One table by id, made at compile time: the weight types' rows are those of kWeightFormats, so
// that a format's id, name and block are written down once.
#include "core/gguf/element_type.h"

#include <array>

namespace lockstep {
namespace {

constexpr uint32_t kIds = 43;  // ggml's are below

// What ggml defines and lockstep does not run. 4, 5, 31 to 33 and 36 to 38 are formats that ggml
// has removed.
constexpr ElementType kOthers[] = {
    {9, "Q8_1", 32, 36},     {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {21, "IQ3_S", 256, 110}, {22, "IQ2_S", 256, 82},   {24, "I8", 1, 1},
    {25, "I16", 1, 2},       {26, "I32", 1, 4},        {27, "I64", 1, 8},
    {28, "F64", 1, 8},       {29, "IQ1_M", 256, 56},   {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},  {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},   {42, "Q2_0", 64, 18},
};

// By id; without a name where there is no such type.
constexpr std::array<ElementType, kIds> kTypes = [] {
  std::array<ElementType, kIds> types{};
  for (const ElementType& other : kOthers) types[other.id] = other;
  for (const WeightFormat& f : kWeightFormats) {
    types[f.file.id] = {f.file.id, f.name, f.file.columns, f.file.bytes, f.type};
  }
  return types;
}();

// A type that becomes a weight type must leave kOthers.
static_assert([] {
  size_t named = 0;
  for (const ElementType& type : kTypes) named += type.name != nullptr;
  return named == std::size(kOthers) + kWeightTypes;
}());

}  // namespace

const ElementType* FindElementType(uint32_t id) {
  return id < kIds && kTypes[id].name != nullptr ? &kTypes[id] : nullptr;
}

}  // namespace lockstep
