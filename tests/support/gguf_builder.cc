#include "tests/support/gguf_builder.h"

#include <algorithm>
#include <cassert>

namespace lockstep {
namespace {

void PadTo(std::string& bytes, size_t alignment) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
}

template <class Items>
auto FindNamed(Items& items, std::string_view name, auto member) {
  return std::find_if(items.begin(), items.end(),
                      [&](const auto& item) { return item.*member == name; });
}

}  // namespace

std::string GgufString(std::string_view text) {
  return LittleEndian<uint64_t>(text.size()) + std::string(text);
}

void GgufBuilder::Set(const std::string& key, uint32_t type, std::string value) {
  Pair pair{key, type, std::move(value)};
  const auto at = FindNamed(pairs, key, &Pair::key);
  if (at == pairs.end()) {
    pairs.push_back(std::move(pair));
  } else {
    *at = std::move(pair);
  }
}

void GgufBuilder::SetArray(const std::string& key, uint32_t element_type, uint64_t count,
                           const std::string& elements) {
  Set(key, 9, LittleEndian(element_type) + LittleEndian(count) + elements);
}

void GgufBuilder::SetStrings(const std::string& key, const std::vector<std::string>& values) {
  std::string bytes;
  for (const std::string& value : values) bytes += GgufString(value);
  SetArray(key, 8, values.size(), bytes);
}

void GgufBuilder::Remove(std::string_view key) {
  std::erase_if(pairs, [&](const Pair& pair) { return pair.key == key; });
}

void GgufBuilder::RemoveTensor(std::string_view name) {
  std::erase_if(tensors, [&](const Tensor& tensor) { return tensor.name == name; });
}

GgufBuilder::Pair& GgufBuilder::GetPair(std::string_view key) {
  const auto at = FindNamed(pairs, key, &Pair::key);
  assert(at != pairs.end());
  return *at;
}

GgufBuilder::Tensor& GgufBuilder::GetTensor(std::string_view name) {
  const auto at = FindNamed(tensors, name, &Tensor::name);
  assert(at != tensors.end());
  return *at;
}

std::string GgufBuilder::BuildTables() const {
  std::string out = magic + LittleEndian(version) +
                    LittleEndian<uint64_t>(n_tensors.value_or(tensors.size())) +
                    LittleEndian<uint64_t>(n_pairs.value_or(pairs.size()));
  for (const Pair& pair : pairs) {
    out += LittleEndian<uint64_t>(pair.key_length.value_or(pair.key.size())) + pair.key +
           LittleEndian(pair.type) + pair.value;
  }
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors) {
    out += LittleEndian<uint64_t>(tensor.name_length.value_or(tensor.name.size())) + tensor.name;
    out += LittleEndian(tensor.n_dims.value_or(static_cast<uint32_t>(tensor.dims.size())));
    for (const uint64_t dim : tensor.dims) out += LittleEndian(dim);
    out += LittleEndian(tensor.type) + LittleEndian<uint64_t>(tensor.offset.value_or(offset));
    offset += (tensor.data.size() + alignment - 1) / alignment * alignment;
  }
  return out;
}

std::vector<uint8_t> GgufBuilder::Build() const {
  std::string out = BuildTables();
  if (!tensors.empty()) PadTo(out, alignment);
  for (const Tensor& tensor : tensors) {
    out += tensor.data;
    PadTo(out, alignment);
  }
  out += trailer;
  return {out.begin(), out.end()};
}

}  // namespace lockstep
