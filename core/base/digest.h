// The hash of what comes piece by piece, and bytes as text. For one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

enum class HashKind { kSha256, kSha1 };  // git names files by the latter

class Digest {
 public:
  explicit Digest(HashKind kind = HashKind::kSha256);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void Add(std::string_view bytes);
  // Eight bytes, the lowest first: between pieces of any length it says where one ends.
  void AddNumber(uint64_t number);
  // The digest, in 32 bytes, or the 20 of SHA-1. REQUIRES: it was not asked for yet; nothing is
  // added afterwards.
  std::string Bytes();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Hex(std::string_view bytes);
// Base64 without line breaks; of as many bytes as three divides it has no padding either.
std::string Base64(std::string_view bytes);
// Nothing where the text is not what Base64 makes of so many bytes. REQUIRES: three divides them.
std::optional<std::string> FromBase64(std::string_view text, size_t bytes);

}  // namespace lockstep
