// The hash of a file's bytes as they come: its SHA-256, or git's name of it, which is a SHA-1. For
// one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/digest.h"

namespace lockstep {

// 64 hex digits are a SHA-256, 40 git's name of a blob. Both in lower case.
bool IsFileHash(std::string_view text);

class FileDigest {
 public:
  // `hash` says of which kind. REQUIRES: IsFileHash(hash), or it is empty: SHA-256.
  FileDigest(std::string_view hash, uint64_t size);

  void Restart();
  void Add(std::string_view bytes) { digest_.Add(bytes); }
  std::string Hex() { return lockstep::Hex(digest_.Bytes()); }  // once, at the end

 private:
  const bool git_;
  const uint64_t size_;
  Digest digest_;
};

}  // namespace lockstep
