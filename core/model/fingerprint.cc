// SHA-256 by OpenSSL, in chunks: a file of many GiB is neither mapped twice nor held in memory, and
// loading can stop the hash between two of them.
#include "core/model/fingerprint.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace lockstep {
namespace {

constexpr size_t kHashChunk = 256 << 10;  // bytes; stays in the second-level cache

// A file is read and not mapped, which takes half the time and leaves no pages behind. False if a
// file cannot be read or OpenSSL fails.
bool Hash(const FilePart& part, EVP_MD_CTX* context, const std::function<void(size_t)>& done,
          const std::atomic<bool>& stop) {
  std::vector<uint8_t> buffer(part.file != nullptr ? kHashChunk : 0);
  for (size_t at = 0; !stop && at < part.bytes.size(); at += kHashChunk) {
    std::span<const uint8_t> chunk = part.bytes.subspan(at);
    chunk = chunk.first(std::min(kHashChunk, chunk.size()));
    if (part.file != nullptr) {
      if (!part.file->Read(at, {buffer.data(), chunk.size()})) return false;
      chunk = {buffer.data(), chunk.size()};
    }
    if (EVP_DigestUpdate(context, chunk.data(), chunk.size()) != 1) return false;
    done(chunk.size());
  }
  return true;
}

}  // namespace

Result<std::string> Sha256(const std::string& name, std::span<const FilePart> parts,
                           const std::function<void(size_t)>& done, const std::atomic<bool>& stop) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
    return Fail(ErrorKind::kInternal, "OpenSSL cannot compute SHA-256");
  }
  for (const FilePart& part : parts) {
    if (Hash(part, context.get(), done, stop)) continue;
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: cannot read all of it for its SHA-256", name));
  }
  if (EVP_DigestFinal_ex(context.get(), digest, &size) != 1) {
    return Fail(ErrorKind::kInternal, "OpenSSL cannot compute SHA-256");
  }
  return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
}

std::string Fingerprint(std::string_view sha256) {
  return fmt::format("ls{}-{}", kNumericsVersion, sha256.substr(0, 16));
}

}  // namespace lockstep
