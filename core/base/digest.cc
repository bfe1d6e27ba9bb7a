// By OpenSSL, which has these in the processor's own instructions where there are some. That it
// has no memory for its state is the one failure, and is told as any other lack of memory.
#include "core/base/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <new>

namespace lockstep {

struct Digest::Context {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> md{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Digest::Digest(HashKind kind) : context_(std::make_unique<Context>()) {
  const EVP_MD* const hash = kind == HashKind::kSha256 ? EVP_sha256() : EVP_sha1();
  if (!context_->md || EVP_DigestInit_ex(context_->md.get(), hash, nullptr) != 1) {
    throw std::bad_alloc();
  }
}

Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::Add(std::string_view bytes) {
  EVP_DigestUpdate(context_->md.get(), bytes.data(), bytes.size());
}

void Digest::AddNumber(uint64_t number) {
  std::array<char, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(number >> (8 * i));
  Add({bytes.data(), bytes.size()});
}

std::string Digest::Bytes() {
  std::string bytes(static_cast<size_t>(EVP_MD_CTX_size(context_->md.get())), '\0');
  EVP_DigestFinal_ex(context_->md.get(), reinterpret_cast<unsigned char*>(bytes.data()), nullptr);
  return bytes;
}

std::string Hex(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

std::string Base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a NUL
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

std::optional<std::string> FromBase64(std::string_view text, size_t bytes) {
  if (text.size() != bytes / 3 * 4) return std::nullopt;
  std::string decoded(bytes, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  // OpenSSL overlooks space and padding, which are not what Base64 writes.
  if (size != static_cast<int>(bytes) || Base64(decoded) != text) return std::nullopt;
  return decoded;
}

}  // namespace lockstep
