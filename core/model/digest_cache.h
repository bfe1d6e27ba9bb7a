// Digests of model files from one start to the next, so that only the first one has to hash a file.
// A file counts as the same while its name, inode, length and both times of change are: whoever
// writes to it or replaces it moves one of them, and no program sets the time of the inode's own
// change. What the file system does not notice, a failing disk above all, goes unnoticed here too.
// Safe from any thread, and with any number of processes on one folder.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "core/gguf/mapped_file.h"

namespace lockstep {

class DigestCache {
 public:
  // The folder is made when there is something to keep. Empty: nothing is kept, nothing found.
  // `clock_step`: no file system's times are coarser; FAT's are so coarse.
  explicit DigestCache(std::string folder,
                       std::chrono::nanoseconds clock_step = std::chrono::seconds(2))
      : folder_(std::move(folder)), clock_step_(clock_step) {}

  // The SHA-256 of the parts, one after the other, in hex, where it was kept. `name`: the path of
  // the first part. Nothing for parts that are no files, too.
  std::optional<std::string> Find(const std::string& name, std::span<const FileState> parts) const;

  // Keeps it for the next start, one of the 256 newest. Does nothing where that is not possible, or
  // where a part was changed so lately that a further change might bear the same time. REQUIRES:
  // `parts` was asked for before the first byte was hashed, and is the same still.
  void Keep(const std::string& name, std::span<const FileState> parts,
            const std::string& sha256) const;

 private:
  std::string PathOf(const std::string& name) const;

  std::string folder_;
  std::chrono::nanoseconds clock_step_;
};

}  // namespace lockstep
