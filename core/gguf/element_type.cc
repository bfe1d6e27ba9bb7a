// One table by id, made at compile time of the rows of kernels/layout.h, so that a format's id,
// name and block are written down once.
#include "core/gguf/element_type.h"

#include <algorithm>
#include <array>

namespace lockstep {
namespace {

constexpr uint32_t kIds = [] {
  uint32_t last = 0;
  for (const NamedFormat& other : kOtherFormats) last = std::max(last, other.file.id);
  for (const WeightFormat& format : kWeightFormats) last = std::max(last, format.file.id);
  return last + 1;
}();

// Each id has its type here; one without a name is no type that is known.
constexpr std::array<ElementType, kIds> kTypes = [] {
  std::array<ElementType, kIds> types{};
  for (const NamedFormat& f : kOtherFormats) {
    types[f.file.id] = {f.file.id, f.name, f.file.columns, f.file.bytes};
  }
  for (const WeightFormat& f : kWeightFormats) {
    types[f.file.id] = {f.file.id, f.name, f.file.columns, f.file.bytes, f.type};
  }
  return types;
}();

// A type that becomes a weight type must leave kOtherFormats.
static_assert([] {
  size_t named = 0;
  for (const ElementType& type : kTypes) named += type.name != nullptr;
  return named == std::size(kOtherFormats) + kWeightTypes;
}());

}  // namespace

const ElementType* FindElementType(uint32_t id) {
  return id < kIds && kTypes[id].name != nullptr ? &kTypes[id] : nullptr;
}

}  // namespace lockstep
