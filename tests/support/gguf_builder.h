// Writes GGUF files in memory, malformed ones too: every field that the writer would work out can
// be overridden. Plain data; copy it, change a field, Build again.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/gguf/gguf_file.h"

namespace lockstep {

// The little-endian bytes of a number.
template <class T>
std::string LittleEndian(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
std::string GgufString(std::string_view text);  // length and bytes

struct GgufBuilder {
  struct Pair {
    std::string key;
    uint32_t type = 0;
    std::string value;  // as it stands in the file
    std::optional<uint64_t> key_length = {};
  };
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  // fastest first
    uint32_t type = 0;
    std::string data;
    std::optional<uint64_t> name_length = {};
    std::optional<uint32_t> n_dims = {};
    std::optional<uint64_t> offset = {};  // from the start of the data
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> n_tensors, n_pairs;
  size_t alignment = 32;  // does not write general.alignment
  std::vector<Pair> pairs;
  std::vector<Tensor> tensors;
  std::string trailer;  // after the last tensor's padding

  // Set replaces the pair of this key, or adds one.
  void Set(const std::string& key, uint32_t type, std::string value);
  void SetU32(const std::string& key, uint32_t value) { Set(key, 4, LittleEndian(value)); }
  void SetF32(const std::string& key, float value) { Set(key, 6, LittleEndian(value)); }
  void SetBool(const std::string& key, bool value) { Set(key, 7, std::string(1, value)); }
  void SetString(const std::string& key, std::string_view v) { Set(key, 8, GgufString(v)); }
  void SetArray(const std::string& key, uint32_t element_type, uint64_t count,
                const std::string& elements);
  void SetStrings(const std::string& key, const std::vector<std::string>& values);
  template <class T>
  void SetNumbers(const std::string& key, uint32_t element_type, const std::vector<T>& values) {
    std::string bytes;
    for (const T& value : values) bytes += LittleEndian(value);
    SetArray(key, element_type, values.size(), bytes);
  }
  void Remove(std::string_view key);

  Pair& GetPair(std::string_view key);       // REQUIRES: it exists
  Tensor& GetTensor(std::string_view name);  // REQUIRES: it exists
  void RemoveTensor(std::string_view name);

  std::vector<uint8_t> Build() const;
  // Header, metadata and tensor table, without the padding before the data.
  std::string BuildTables() const;
};

}  // namespace lockstep
