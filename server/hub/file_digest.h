// The hash of bytes as they come: a file's SHA-256, or git's name of a file, which is a SHA-1. For
// one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lockstep {

// 64 hex digits are a SHA-256, 40 git's name of a blob. Both in lower case.
bool IsFileHash(std::string_view text);

class FileDigest {
 public:
  // `hash` says of which kind. REQUIRES: IsFileHash(hash), or it is empty: SHA-256.
  FileDigest(std::string_view hash, uint64_t size);
  ~FileDigest();
  FileDigest(const FileDigest&) = delete;
  FileDigest& operator=(const FileDigest&) = delete;

  void Restart();
  void Add(std::string_view bytes);
  std::string Hex();  // once, at the end; empty if OpenSSL fails

 private:
  struct Context;
  const bool git_;
  const uint64_t size_;
  const std::unique_ptr<Context> context_;
};

}  // namespace lockstep
