// A parsed view of a GGUF file (versions 2 and 3): metadata and tensor table, every offset, count
// and product checked. The views point into the bytes given to Parse, which must outlive them.
// Immutable after Parse, so safe to share between threads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/element_type.h"

namespace lockstep {

enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
inline constexpr uint32_t kGgufTypes = 13;
constexpr uint32_t Id(GgufType type) { return static_cast<uint32_t>(type); }
// REQUIRES for both: type < kGgufTypes.
const char* GgufTypeName(uint32_t type);  // such as "u32"
size_t GgufTypeBytes(uint32_t type);      // of one value; 0 for strings and arrays

// fn.operator()<T>() for the C++ type T of numbers of this type. REQUIRES: it is one of numbers, or
// kBool, of which T is the byte that holds it.
template <class Fn>
auto ForNumberType(GgufType type, const Fn& fn) {
  switch (type) {
    case GgufType::kI8:
      return fn.template operator()<int8_t>();
    case GgufType::kU16:
      return fn.template operator()<uint16_t>();
    case GgufType::kI16:
      return fn.template operator()<int16_t>();
    case GgufType::kU32:
      return fn.template operator()<uint32_t>();
    case GgufType::kI32:
      return fn.template operator()<int32_t>();
    case GgufType::kF32:
      return fn.template operator()<float>();
    case GgufType::kU64:
      return fn.template operator()<uint64_t>();
    case GgufType::kI64:
      return fn.template operator()<int64_t>();
    case GgufType::kF64:
      return fn.template operator()<double>();
    default:
      return fn.template operator()<uint8_t>();
  }
}

// An array of metadata values: numbers stay in the file, little-endian and perhaps unaligned.
struct GgufArray {
  uint32_t element_type;  // a GgufType other than kArray
  size_t count;
  std::span<const uint8_t> data;          // count * element size, empty for strings
  std::vector<std::string_view> strings;  // filled for strings only
};

// Integers are widened to uint64_t or int64_t, floats to double.
using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray>;

struct GgufPair {
  std::string_view key;
  uint32_t type;  // a GgufType
  GgufValue value;
};

struct GgufTensor {
  std::string_view name;
  const ElementType* type;
  std::vector<uint64_t> dims;     // fastest first, as stored: dims[0] is the row length
  uint64_t offset;                // of the data, from the start of the file, or of its part
  std::span<const uint8_t> data;  // the rows, packed
  size_t part = 0;                // of a split file, from 0
  size_t rows() const;            // product of dims[1..]
  size_t cols() const { return dims[0]; }
};

class GgufFile {
 public:
  // `name` is used in error messages. Errors are kBadFile and name file, field, value and limit.
  [[nodiscard]] static Result<GgufFile> Parse(std::span<const uint8_t> bytes, std::string name);

  // Makes the tensors of a split file's next part this file's. The part's bytes must outlive it,
  // too. An error if a tensor is there already.
  [[nodiscard]] Status Append(GgufFile part);
  // An error if the metadata say that the file is split, and parts are missing.
  [[nodiscard]] Status CheckWhole() const;

  const std::string& name() const { return name_; }
  uint32_t version() const { return version_; }
  const std::vector<GgufPair>& pairs() const { return pairs_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  std::span<const uint8_t> bytes() const { return bytes_; }               // of the first part
  size_t size() const { return size_; }                                   // of all parts, in bytes
  const std::vector<std::string>& warnings() const { return warnings_; }  // such as trailing bytes

  const GgufPair* Find(std::string_view key) const;           // nullptr if absent
  const GgufTensor* FindTensor(std::string_view name) const;  // nullptr if absent

  // Typed access. nullopt if the key is absent; an error if it is there with another type
  // (GetU64 takes every integer type that holds a value >= 0).
  [[nodiscard]] Result<std::optional<uint64_t>> GetU64(std::string_view key) const;
  [[nodiscard]] Result<std::optional<double>> GetFloat(std::string_view key) const;
  [[nodiscard]] Result<std::optional<bool>> GetBool(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::string_view>> GetString(std::string_view key) const;
  // Copies of arrays of f32 and of i32 (or u32 that fits); nullopt or nullptr if absent.
  [[nodiscard]] Result<std::optional<std::vector<float>>> GetFloats(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::vector<int32_t>>> GetInts(std::string_view key) const;
  // The elements of an array of u8 or i8, in the file; nullopt if absent.
  [[nodiscard]] Result<std::optional<std::span<const uint8_t>>> GetBytes(
      std::string_view key) const;
  [[nodiscard]] Result<const std::vector<std::string_view>*> GetStrings(std::string_view key) const;

  // A kBadFile error that starts with the file's name.
  tl::unexpected<Error> Fail(const std::string& message) const;

 private:
  class Parser;
  // A pair of another type than asked for.
  tl::unexpected<Error> WrongType(const GgufPair& pair, const char* wanted) const;
  // nullptr if absent; an error if it is not an array of this type.
  Result<const GgufArray*> GetArray(std::string_view key, GgufType type, GgufType or_type,
                                    const char* wanted) const;

  std::string name_;
  std::span<const uint8_t> bytes_;
  size_t size_ = 0;
  size_t parts_ = 1;
  uint32_t version_ = 0;
  std::vector<GgufPair> pairs_;
  std::vector<GgufTensor> tensors_;
  // The place in pairs_, or in tensors_, of each key or name; the texts are views into the files.
  std::unordered_map<std::string_view, size_t> pair_index_;
  std::unordered_map<std::string_view, size_t> tensor_index_;
  std::vector<std::string> warnings_;
};

}  // namespace lockstep
