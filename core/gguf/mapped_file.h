// A read-only memory mapping of a whole regular file. Movable; unmaps when destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/status.h"

namespace lockstep {

// What the file system says of a file: some of it differs once the file was written to.
struct FileState {
  uint64_t inode = 0, size = 0;
  int64_t modified_ns = 0, changed_ns = 0;  // Unix time: of the content, and of the inode
  bool operator==(const FileState&) const = default;
};

class MappedFile {
 public:
  // Errors (kBadFile) name the path: missing, unreadable, a directory or FIFO, empty.
  [[nodiscard]] static Result<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  // Copies bytes from `offset` on, without the mapping. False if not all of them can be read.
  [[nodiscard]] bool Read(size_t offset, std::span<uint8_t> to) const;
  // Nothing if the system does not say.
  std::optional<FileState> State() const;
  // Tells the system that this process is done with [offset, offset + size).
  void DropPages(size_t offset, size_t size) const;

 private:
  explicit MappedFile(int fd) : fd_(fd) {}
  // The descriptor stays open, as Read needs it; -1 and nullptr in one that has been moved from.
  int fd_ = -1;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace lockstep
