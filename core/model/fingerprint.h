// The name of a model's bits: equal fingerprints promise equal answers to equal requests. Safe from
// any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/gguf/mapped_file.h"

namespace lockstep {

// Raised whenever any output bit of any kernel, sampler or tokenizer changes.
inline constexpr int kNumericsVersion = 3;

// Bytes of a model's file, or of one of its parts.
struct FilePart {
  std::span<const uint8_t> bytes;
  const MappedFile* file = nullptr;  // if they are one
};

// The SHA-256 of all parts, one after the other, in 64 hex digits. `name` names them in errors:
// kBadFile if one cannot be read. `done` is told of every few hundred
// KiB that were read. The result is of no use once `stop` is set.
[[nodiscard]] Result<std::string> Sha256(const std::string& name, std::span<const FilePart> parts,
                                         const std::function<void(size_t bytes)>& done,
                                         const std::atomic<bool>& stop);

// "ls<numerics version>-" and the first 16 of those digits.
std::string Fingerprint(std::string_view sha256);

}  // namespace lockstep
