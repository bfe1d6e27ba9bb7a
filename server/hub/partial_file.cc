// Written in large pieces, since the client's library gives it in small ones, and hashed on the
// way: it is not read again unless a later process goes on with it.
#include "server/hub/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace lockstep {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;

}  // namespace

PartialFile::PartialFile(std::string path, std::string_view hash, uint64_t size)
    : path_(std::move(path)), made_(path_ + ".incomplete"), digest_(hash, size) {}

PartialFile::~PartialFile() {
  if (fd_ < 0) return;
  // What has come is kept also where the download ends with an error.
  (void)Flush();
  close(fd_);
}

Status PartialFile::Failed(const char* what) const {
  const int error = errno;
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("{} is full ({}): free some space and try again, which goes on where "
                            "it stopped, or set HF_HUB_CACHE to a folder on another disk",
                            folder, std::generic_category().message(error)));
  }
  return Fail(ErrorKind::kUnavailable,
              fmt::format("cannot {} {}: {}", what, made_, std::generic_category().message(error)));
}

Result<std::unique_ptr<PartialFile>> PartialFile::Open(const std::string& path,
                                                       std::string_view hash, uint64_t size) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  std::unique_ptr<PartialFile> file(new PartialFile(path, hash, size));
  file->fd_ = open(file->made_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file->fd_ < 0) TRY_OK(file->Failed("make"));
  TRY_OK(file->Read(size));
  return file;
}

Status PartialFile::Read(uint64_t most) {
  struct stat found {};
  if (fstat(fd_, &found) != 0) return Failed("read");
  if (most > 0 && static_cast<uint64_t>(found.st_size) > most) return Restart();
  std::string piece(kBuffer, '\0');
  while (true) {
    const ssize_t got = read(fd_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("read");
    if (got == 0) return {};
    digest_.Add({piece.data(), static_cast<size_t>(got)});
    size_ += static_cast<uint64_t>(got);
  }
}

Status PartialFile::Add(std::string_view bytes) {
  buffer_ += bytes;
  size_ += bytes.size();
  return buffer_.size() < kBuffer ? Status() : Flush();
}

Status PartialFile::Flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t wrote = write(fd_, left.data(), left.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      Status failed = Failed("write");
      // The hash and the file are of the same bytes again, so that another try can go on.
      size_ -= left.size();
      buffer_.clear();
      return failed;
    }
    digest_.Add(left.substr(0, static_cast<size_t>(wrote)));
    left.remove_prefix(static_cast<size_t>(wrote));
  }
  buffer_.clear();
  return {};
}

Status PartialFile::Restart() {
  buffer_.clear();
  size_ = 0;
  digest_.Restart();
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0) return Failed("empty");
  return {};
}

std::string PartialFile::Hash() { return digest_.Hex(); }

Status PartialFile::Finish() {
  TRY_OK(Flush());
  if (fsync(fd_) != 0) return Failed("write");
  if (std::rename(made_.c_str(), path_.c_str()) != 0) return Failed("rename");
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  if (const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    fsync(fd);
    close(fd);
  }
  close(fd_);
  fd_ = -1;
  return {};
}

void PartialFile::Discard() {
  std::remove(made_.c_str());
  close(fd_);
  fd_ = -1;
}

}  // namespace lockstep
