// Several servers may have the folder at once, and know nothing of each other but the files:
//
//   ab/cdef...   a block, whole: it was renamed to this
//   ab/.X.new    one that is being written, or was when its writer died; those of an hour ago go
//   lock         held by whoever writes or removes a block; has the sum of all blocks' bytes
//
// There is no index of the blocks. When a file was last used is its time of modification,
// which reading sets, as many disks keep no time of access. The sum is raised before a block is
// written, so that whoever dies between leaves it too high and never too low; with the lock held
// until the block is there, the folder is never above its bound, whoever else writes. The files
// are counted again where the sum would pass the bound, at a process's first write and after each
// 32nd part of the bound, for what came or went without the lock. An eighth is then made free.
// Nothing is synced to the disk: a file that a crash of the machine has left empty is damaged, as
// its hash says, and is removed when it is read.
#include "server/store/folder_archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "server/host/descriptor.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr time_t kForgottenAfter = 3600;  // seconds, of files that nobody finishes
constexpr size_t kCountShare = 32, kFreeShare = 8;
constexpr size_t kSumDigits = 20;         // of any 64 bits
constexpr std::chrono::seconds kTurn{2};  // a write and a removal of others take far less
constexpr std::string_view kDigits = "0123456789abcdef", kUnfinished = ".new";

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::string ErrnoText() { return std::generic_category().message(errno); }

bool IsDigits(std::string_view text, size_t size) {
  return text.size() == size && text.find_first_not_of(kDigits) == text.npos;
}

// Up to buffer.size() bytes; what a failing disk does not give is missing.
size_t ReadAll(int file, std::span<uint8_t> buffer) {
  size_t had = 0;
  while (had < buffer.size()) {
    const ssize_t n = read(file, buffer.data() + had, buffer.size() - had);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    had += static_cast<size_t>(n);
  }
  return had;
}

bool WriteAll(int file, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

// Waits for its turn; false where another process does not end its own (it is stopped, or its
// machine is). On a disk that has no locks (some network disks) each writes as if it were alone.
bool Lock(const Descriptor& file) {
  const auto last = BlockArchive::Clock::now() + kTurn;
  while (flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return true;
    if (BlockArchive::Clock::now() > last) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Nothing where no sum stands there.
std::optional<size_t> SumIn(const Descriptor& lock) {
  std::array<char, kSumDigits> digits{};
  if (pread(lock.number(), digits.data(), digits.size(), 0) != ssize_t{kSumDigits}) return {};
  size_t sum = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), sum);
  if (error != std::errc() || end != digits.end()) return {};
  return sum;
}

bool WriteSum(const Descriptor& lock, size_t sum) {
  const std::string digits = fmt::format("{:0{}}", sum, kSumDigits);
  return pwrite(lock.number(), digits.data(), digits.size(), 0) == ssize_t{kSumDigits};
}

struct File {
  std::string name;  // within the folder
  size_t bytes;
  timespec used;
};

// All blocks below the folder. What is not named as one is not ours, and left alone.
std::vector<File> FilesOf(const std::string& folder) {
  std::vector<File> files;
  for (size_t i = 0; i < 256; ++i) {
    const std::string part{kDigits[i / 16], kDigits[i % 16]};
    const std::unique_ptr<DIR, CloseFolder> entries(
        opendir(fmt::format("{}/{}", folder, part).c_str()));
    if (entries == nullptr) continue;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread reads these entries
    while (const dirent* const entry = readdir(entries.get())) {
      const std::string_view name = entry->d_name;
      const bool unfinished = name.starts_with('.') && name.ends_with(kUnfinished);
      if (!unfinished && !IsDigits(name, 2 * sizeof(BlockKey) - 2)) continue;
      struct stat status {};
      if (fstatat(dirfd(entries.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
          !S_ISREG(status.st_mode)) {
        continue;
      }
      if (unfinished && status.st_mtim.tv_sec + kForgottenAfter < std::time(nullptr)) {
        unlinkat(dirfd(entries.get()), entry->d_name, 0);
        continue;
      }
      if (unfinished) continue;
      files.push_back(
          {fmt::format("{}/{}", part, name), static_cast<size_t>(status.st_size), status.st_mtim});
    }
  }
  return files;
}

}  // namespace

FolderArchive::FolderArchive(std::string folder, size_t file_bytes, size_t max_bytes)
    : folder_(std::move(folder)),
      file_bytes_(file_bytes),
      max_bytes_(max_bytes),
      buffer_(file_bytes + 1) {
  // So that no two processes, of whichever machines, write one file.
  if (getrandom(&temporary_, sizeof temporary_, 0) < 0)
    temporary_ = static_cast<uint64_t>(getpid());
}

FolderArchive::~FolderArchive() = default;

Result<std::unique_ptr<FolderArchive>> FolderArchive::Open(std::string folder, size_t file_bytes,
                                                           size_t max_bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder)) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--prefix-dir: {} is no folder, and cannot be made one{}", folder,
                            error ? ": " + error.message() : ""),
                "prefix-dir");
  }
  if (max_bytes < file_bytes) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--prefix-dir-size: a block of this model takes {} bytes; give more",
                            file_bytes),
                "prefix-dir-size");
  }
  return std::unique_ptr<FolderArchive>(
      new FolderArchive(std::move(folder), file_bytes, max_bytes));
}

bool FolderArchive::writable() const { return access(folder_.c_str(), W_OK | X_OK) == 0; }

std::string FolderArchive::PathOf(const BlockKey& key) const {
  const std::string digits = fmt::format("{:02x}", fmt::join(key, ""));
  return fmt::format("{}/{}/{}", folder_, digits.substr(0, 2), digits.substr(2));
}

Status FolderArchive::Get(std::span<const BlockKey> keys, Clock::time_point deadline,
                          const Take& take) {
  for (const BlockKey& key : keys) {
    if (Clock::now() >= deadline) return {};
    const Descriptor file(open(PathOf(key).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file.ok()) {
      if (errno == ENOENT) return {};
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("--prefix-dir: {} cannot be read: {}", folder_, ErrnoText()));
    }
    // What is no file is damaged; a pipe, say, would be waited for without end.
    struct stat status {};
    const bool regular = fstat(file.number(), &status) == 0 && S_ISREG(status.st_mode);
    const size_t bytes = regular ? ReadAll(file.number(), buffer_) : 0;
    const timespec now[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    futimens(file.number(), now);  // a folder that is only read keeps its times
    if (!take({buffer_.data(), bytes})) return {};
  }
  return {};
}

void FolderArchive::Forget(const BlockKey& key) { unlink(PathOf(key).c_str()); }

Result<size_t> FolderArchive::Put(const BlockKey& key, std::span<const uint8_t> bytes) {
  const std::string path = PathOf(key);
  if (access(path.c_str(), F_OK) == 0) return size_t{0};
  const Descriptor lock(open((folder_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!Lock(lock)) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("--prefix-dir: {} is locked by another process since {} s; blocks "
                            "are not written meanwhile",
                            folder_, kTurn.count()));
  }
  const std::optional<size_t> had = counted_ ? SumIn(lock) : std::nullopt;
  size_t sum = had.value_or(0);
  if (!had || sum + bytes.size() > max_bytes_ || written_ > max_bytes_ / kCountShare) {
    sum = Shrink();
    written_ = 0;
  }
  counted_ = WriteSum(lock, sum + bytes.size());
  if (Status status = WriteFile(path, bytes); !status) {
    counted_ = false;  // others may have filled the disk
    return tl::unexpected<Error>(std::move(status).error());
  }
  written_ += bytes.size();
  return bytes.size();
}

Status FolderArchive::WriteFile(const std::string& path, std::span<const uint8_t> bytes) const {
  const size_t name = path.rfind('/');
  const auto failed = [&] {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("--prefix-dir: {} cannot be written to: {}", folder_, ErrnoText()));
  };
  const std::string part = path.substr(0, name);
  // All of the path: whoever cleans up caches removes the folder, too.
  std::error_code error;
  fs::create_directories(part, error);
  errno = error.value();
  if (error) return failed();
  const std::string unfinished = fmt::format("{}/.{:016x}{}", part, temporary_, kUnfinished);
  const Descriptor file(open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.ok()) return failed();
  if (WriteAll(file.number(), bytes) && rename(unfinished.c_str(), path.c_str()) == 0) return {};
  auto failure = failed();
  unlink(unfinished.c_str());
  return failure;
}

size_t FolderArchive::Shrink() const {
  std::vector<File> files = FilesOf(folder_);
  size_t sum = 0;
  for (const File& file : files) sum += file.bytes;
  if (sum + file_bytes_ <= max_bytes_) return sum;
  const size_t target = max_bytes_ - std::max(file_bytes_, max_bytes_ / kFreeShare);
  std::ranges::sort(
      files, {}, [](const File& file) { return std::pair(file.used.tv_sec, file.used.tv_nsec); });
  for (const File& file : files) {
    if (sum <= target) break;
    unlink(fmt::format("{}/{}", folder_, file.name).c_str());
    sum -= file.bytes;
  }
  return sum;
}

}  // namespace lockstep
