// What readers ask of a file that gguf_file.cc has parsed. They say which kind of value they want:
// converters do not agree on widths, so that any integer will do for a size, and a value of another
// kind is an error that names the key and both types.

#include <fmt/format.h>

#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "core/base/quoted.h"
#include "core/gguf/gguf_file.h"

namespace lockstep {
namespace {

struct TypeInfo {
  const char* name;
  size_t bytes;
};
constexpr TypeInfo kTypes[kGgufTypes] = {
    // by GgufType
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

// Arrays start wherever the text before them ends, so that their elements may be unaligned and
// cannot be read in place.
template <class T>
std::vector<T> CopyElements(const GgufArray& array) {
  std::vector<T> values(array.count);
  if (array.count > 0) std::memcpy(values.data(), array.data.data(), array.data.size());
  return values;
}

}  // namespace

const char* GgufTypeName(uint32_t type) { return kTypes[type].name; }
size_t GgufTypeBytes(uint32_t type) { return kTypes[type].bytes; }

size_t GgufTensor::rows() const {
  return std::accumulate(dims.begin() + 1, dims.end(), size_t{1}, std::multiplies<>());
}

const GgufPair* GgufFile::Find(std::string_view key) const {
  const auto at = pair_index_.find(key);
  return at == pair_index_.end() ? nullptr : &pairs_[at->second];
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto at = tensor_index_.find(name);
  return at == tensor_index_.end() ? nullptr : &tensors_[at->second];
}

// A tensor's name and data stay views into its part's bytes; only the table of tensors is joined.
// So Find and FindTensor work on all parts as on one file, with the metadata of the first.
Status GgufFile::Append(GgufFile part) {
  for (GgufTensor& tensor : part.tensors_) {
    const auto [at, is_new] = tensor_index_.emplace(tensor.name, tensors_.size());
    if (!is_new) {
      return part.Fail(fmt::format("tensor {} is in part {}, too", Quoted(tensor.name),
                                   tensors_[at->second].part + 1));
    }
    tensor.part = parts_;
    tensors_.push_back(std::move(tensor));
  }
  warnings_.insert(warnings_.end(), part.warnings_.begin(), part.warnings_.end());
  size_ += part.size_;
  ++parts_;
  return {};
}

Status GgufFile::CheckWhole() const {
  TRY(const auto count, GetU64("split.count"));
  if (count.value_or(1) <= parts_) return {};
  return Fail(
      fmt::format("split.count is {}, but {} of the parts is here: give the path of the first, "
                  "with the others beside it, or join them, as with llama-gguf-split --merge",
                  *count, parts_));
}

tl::unexpected<Error> GgufFile::Fail(const std::string& message) const {
  return lockstep::Fail(ErrorKind::kBadFile, fmt::format("{}: {}", name_, message));
}

tl::unexpected<Error> GgufFile::WrongType(const GgufPair& pair, const char* wanted) const {
  std::string type = GgufTypeName(pair.type);
  if (const auto* array = std::get_if<GgufArray>(&pair.value)) {
    type += fmt::format(" of {}", GgufTypeName(array->element_type));
  }
  return Fail(fmt::format("{} is of type {}, but must be {}", Quoted(pair.key), type, wanted));
}

Result<std::optional<uint64_t>> GgufFile::GetU64(std::string_view key) const {
  const GgufPair* pair = Find(key);
  if (pair == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<uint64_t>(&pair->value)) return *value;
  // Converters do not agree on a type for sizes: u32, i32 and u64 all occur.
  const auto* value = std::get_if<int64_t>(&pair->value);
  if (value == nullptr) return WrongType(*pair, "an integer");
  if (*value < 0) return Fail(fmt::format("{} is {}, but must be at least 0", Quoted(key), *value));
  return static_cast<uint64_t>(*value);
}

Result<std::optional<double>> GgufFile::GetFloat(std::string_view key) const {
  const GgufPair* pair = Find(key);
  if (pair == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<double>(&pair->value)) return *value;
  return WrongType(*pair, "f32 or f64");
}

Result<std::optional<bool>> GgufFile::GetBool(std::string_view key) const {
  const GgufPair* pair = Find(key);
  if (pair == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<bool>(&pair->value)) return *value;
  return WrongType(*pair, "bool");
}

Result<std::optional<std::string_view>> GgufFile::GetString(std::string_view key) const {
  const GgufPair* pair = Find(key);
  if (pair == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<std::string_view>(&pair->value)) return *value;
  return WrongType(*pair, "string");
}

Result<const GgufArray*> GgufFile::GetArray(std::string_view key, GgufType type, GgufType or_type,
                                            const char* wanted) const {
  const GgufPair* pair = Find(key);
  if (pair == nullptr) return nullptr;
  const auto* array = std::get_if<GgufArray>(&pair->value);
  if (array == nullptr || (array->element_type != Id(type) && array->element_type != Id(or_type))) {
    return WrongType(*pair, wanted);
  }
  return array;
}

Result<std::optional<std::vector<float>>> GgufFile::GetFloats(std::string_view key) const {
  TRY(const auto array, GetArray(key, GgufType::kF32, GgufType::kF32, "array of f32"));
  if (array == nullptr) return std::nullopt;
  return CopyElements<float>(*array);
}

Result<std::optional<std::vector<int32_t>>> GgufFile::GetInts(std::string_view key) const {
  TRY(const auto array, GetArray(key, GgufType::kI32, GgufType::kU32, "array of i32"));
  if (array == nullptr) return std::nullopt;
  std::vector<int32_t> values = CopyElements<int32_t>(*array);
  // A u32 that does not fit has become negative by the copy above.
  if (array->element_type == Id(GgufType::kU32)) {
    for (const int32_t value : values) {
      if (value >= 0) continue;
      return Fail(fmt::format("an element of {} is {}, but the limit is {}", Quoted(key),
                              static_cast<uint32_t>(value), std::numeric_limits<int32_t>::max()));
    }
  }
  return values;
}

Result<std::optional<std::span<const uint8_t>>> GgufFile::GetBytes(std::string_view key) const {
  TRY(const auto array, GetArray(key, GgufType::kU8, GgufType::kI8, "array of u8"));
  if (array == nullptr) return std::nullopt;
  return array->data;
}

Result<const std::vector<std::string_view>*> GgufFile::GetStrings(std::string_view key) const {
  TRY(const auto array, GetArray(key, GgufType::kString, GgufType::kString, "array of string"));
  return array == nullptr ? nullptr : &array->strings;
}

}  // namespace lockstep
