// Reads the metadata keys of one architecture, such as "llama.block_count", and keeps the first
// error, so that a call reads as a declaration. Not thread-safe; the file must outlive it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"

namespace lockstep {

class MetadataKeys {
 public:
  MetadataKeys(const GgufFile& file, std::string_view architecture)
      : file_(file), prefix_(std::string(architecture) + ".") {}

  // "llama.block_count" for the key "block_count" of the architecture "llama".
  std::string Name(std::string_view key) const { return prefix_ + std::string(key); }

  // A Need function records an error where the key is missing, the others give nullopt. A value of
  // another type is an error for both and counts as absent. A value outside of min to max is an
  // error, too, but returned as it is: callers ask status() before they compute with it.
  size_t NeedSize(std::string_view key, size_t min, size_t max);  // min if it is absent
  std::optional<size_t> Size(std::string_view key, size_t min, size_t max);
  // One for each of n layers, from a number or from an array of as many.
  std::vector<size_t> NeedSizes(std::string_view key, size_t n, size_t min, size_t max);
  std::optional<std::vector<size_t>> Sizes(std::string_view key, size_t n, size_t min, size_t max);
  double NeedNumber(std::string_view key, double min, double max);  // min if it is absent
  std::optional<double> Number(std::string_view key, double min, double max);
  bool NeedFlag(std::string_view key);  // false if it is absent
  std::optional<bool> Flag(std::string_view key);
  std::optional<std::string_view> Text(std::string_view key);

  // Records that the key's value is not one that it can have: "llama.x is 7, but " + what.
  void Fail(std::string_view key, const std::string& value, const std::string& what);

  const Status& status() const { return status_; }

 private:
  template <class T>
  std::optional<T> Keep(Result<std::optional<T>> value);
  // The value, or `otherwise` and an error.
  template <class T>
  T Need(std::string_view key, std::optional<T> value, T otherwise);

  const GgufFile& file_;
  const std::string prefix_;
  Status status_;
};

// The string under `key`, or "" where it is absent or of another type: for keys that only tell
// people something, such as general.name. A file is not refused for them.
std::string_view ToldText(const GgufFile& file, std::string_view key);

}  // namespace lockstep
