// An archive of prefix blocks in a folder, on a disk of this machine or on one that several servers
// share. Each block is a file, FOLDER/ab/cdef..., under the digits of its key. Files appear whole,
// under their names at once, and those that were not read or written for longest go when there are
// too many bytes. Threads as BlockArchive says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/block_archive.h"

namespace lockstep {

class FolderArchive : public BlockArchive {
 public:
  // Makes the folder where there is none. `file_bytes`: of a whole file; longer ones are read up to
  // one byte more. `max_bytes`: of all files. kInvalidArgument where the folder cannot be had.
  [[nodiscard]] static Result<std::unique_ptr<FolderArchive>> Open(std::string folder,
                                                                   size_t file_bytes,
                                                                   size_t max_bytes);
  ~FolderArchive() override;

  bool writable() const;

  [[nodiscard]] Status Get(std::span<const BlockKey> keys, Clock::time_point deadline,
                           const Take& take) override;
  [[nodiscard]] Result<size_t> Put(const BlockKey& key, std::span<const uint8_t> bytes) override;
  void Forget(const BlockKey& key) override;

 private:
  FolderArchive(std::string folder, size_t file_bytes, size_t max_bytes);
  std::string PathOf(const BlockKey& key) const;
  Status WriteFile(const std::string& path, std::span<const uint8_t> bytes) const;
  // Counts what is there, removes the oldest where another block would be too much, and returns
  // the bytes that stay. The lock is held.
  size_t Shrink() const;

  const std::string folder_;
  const size_t file_bytes_, max_bytes_;
  std::vector<uint8_t> buffer_;  // of Get's thread
  // Used by the thread that calls Put alone.
  bool counted_ = false;    // by this process, so that the sum in the lock can be believed
  size_t written_ = 0;      // by this process, since then
  uint64_t temporary_ = 0;  // names of files that are not whole
};

}  // namespace lockstep
