// A mapping is private and read-only: weights are repacked from it at load, and its pages are given
// back as that goes on. A file that shrinks meanwhile ends the process with SIGBUS, as it would any
// program that maps files, so that nobody should write to a model in place.
#include "core/gguf/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace lockstep {
namespace {

tl::unexpected<Error> PathError(const std::string& path, const std::string& why) {
  return Fail(ErrorKind::kBadFile, fmt::format("{}: {}", path, why));
}

tl::unexpected<Error> SystemError(const std::string& path, const char* action) {
  return PathError(path,
                   fmt::format("cannot {} it: {}", action, std::generic_category().message(errno)));
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::string& path) {
  // Without O_NONBLOCK, opening a FIFO waits for a writer.
  MappedFile file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd_ < 0) return SystemError(path, "open");
  struct stat info {};
  if (fstat(file.fd_, &info) != 0) return SystemError(path, "examine");
  if (S_ISDIR(info.st_mode)) return PathError(path, "is a directory, not a file");
  if (!S_ISREG(info.st_mode)) return PathError(path, "is not a regular file");
  if (info.st_size == 0) return PathError(path, "the file is empty");

  const size_t size = static_cast<size_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd_, 0);
  if (data == MAP_FAILED) return SystemError(path, "map");
  file.data_ = static_cast<const uint8_t*>(data);
  file.size_ = size;
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  // What this one had is unmapped by the other's destructor.
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
  if (fd_ >= 0) close(fd_);
}

bool MappedFile::Read(size_t offset, std::span<uint8_t> to) const {
  while (!to.empty()) {
    const ssize_t n = pread(fd_, to.data(), to.size(), static_cast<off_t>(offset));
    // pread may give less than was asked for, and 0 at the end of the file.
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += static_cast<size_t>(n);
    to = to.subspan(static_cast<size_t>(n));
  }
  return true;
}

std::optional<FileState> MappedFile::State() const {
  struct stat info {};
  if (fstat(fd_, &info) != 0) return std::nullopt;
  return FileState{info.st_ino, static_cast<uint64_t>(info.st_size), Nanoseconds(info.st_mtim),
                   Nanoseconds(info.st_ctim)};
}

void MappedFile::DropPages(size_t offset, size_t size) const {
  if (offset > size_ || size > size_ - offset) return;
  // Both ends are rounded down: what shares the last page is usually wanted next.
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = offset / page * page, end = (offset + size) / page * page;
  if (begin < end) madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace lockstep
