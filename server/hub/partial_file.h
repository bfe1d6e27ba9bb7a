// A file that is being fetched: its bytes so far and their hash. For one thread, which has the
// file's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "server/hub/file_digest.h"

namespace lockstep {

class PartialFile {
 public:
  // Opens or makes `path`.incomplete, and reads what is there for the hash. `hash` and `size` as
  // FileDigest has them; what is longer than `size` is thrown away if that is not 0.
  [[nodiscard]] static Result<std::unique_ptr<PartialFile>> Open(const std::string& path,
                                                                 std::string_view hash,
                                                                 uint64_t size);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  uint64_t size() const { return size_; }
  [[nodiscard]] Status Add(std::string_view bytes);  // may keep them in memory
  [[nodiscard]] Status Flush();
  [[nodiscard]] Status Restart();  // from nothing
  std::string Hash();              // of all; once, before the end
  // Gives it its name once it is on the disk.
  [[nodiscard]] Status Finish();
  void Discard();

 private:
  PartialFile(std::string path, std::string_view hash, uint64_t size);
  Status Read(uint64_t most);
  Status Failed(const char* what) const;

  const std::string path_, made_;
  int fd_ = -1;
  uint64_t size_ = 0;  // with what is in buffer_
  std::string buffer_;
  FileDigest digest_;
};

}  // namespace lockstep
