// SHA-256 in chunks: a file of many GiB is neither mapped twice nor held in memory, and
// loading can stop the hash between two of them.
#include "core/model/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base/digest.h"

namespace lockstep {
namespace {

constexpr size_t kHashChunk = 256 << 10;  // bytes; stays in the second-level cache

// A file is read and not mapped, which takes half the time and leaves no pages behind. False if a
// file cannot be read.
bool Hash(const FilePart& part, Digest& digest, const std::function<void(size_t)>& done,
          const std::atomic<bool>& stop) {
  std::vector<uint8_t> buffer(part.file != nullptr ? kHashChunk : 0);
  for (size_t at = 0; !stop && at < part.bytes.size(); at += kHashChunk) {
    std::span<const uint8_t> chunk = part.bytes.subspan(at);
    chunk = chunk.first(std::min(kHashChunk, chunk.size()));
    if (part.file != nullptr) {
      if (!part.file->Read(at, {buffer.data(), chunk.size()})) return false;
      chunk = {buffer.data(), chunk.size()};
    }
    digest.Add({reinterpret_cast<const char*>(chunk.data()), chunk.size()});
    done(chunk.size());
  }
  return true;
}

}  // namespace

Result<std::string> Sha256(const std::string& name, std::span<const FilePart> parts,
                           const std::function<void(size_t)>& done, const std::atomic<bool>& stop) {
  Digest digest;
  for (const FilePart& part : parts) {
    if (Hash(part, digest, done, stop)) continue;
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: cannot read all of it for its SHA-256", name));
  }
  return Hex(digest.Bytes());
}

std::string Fingerprint(std::string_view sha256) {
  return fmt::format("ls{}-{}", kNumericsVersion, sha256.substr(0, 16));
}

}  // namespace lockstep
