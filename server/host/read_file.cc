// By the system's own calls: a stream of the standard library opens a directory and throws when it
// is read, waits for ever at a pipe that nobody writes to, and reads a device until there is no
// memory.
#include "server/host/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "core/base/quoted.h"
#include "server/host/descriptor.h"

namespace lockstep {
namespace {

constexpr size_t kPathShown = 1024;  // bytes: a message should have the whole path
constexpr size_t kPiece = 64 * 1024;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr int kPatienceMs = 10'000;  // with who writes into a pipe, between two pieces

}  // namespace

Result<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  const auto fail = [&path](ErrorKind kind, const std::string& why) {
    return Fail(kind, fmt::format("{} {}", Quoted(path, kPathShown), why));
  };
  const auto cannot = [&fail](ErrorKind kind, int error) {
    return fail(kind, "cannot be read: " + std::generic_category().message(error));
  };
  // Without O_NONBLOCK, opening a pipe waits for a writer.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.ok()) return cannot(ErrorKind::kNotFound, errno);
  struct stat info {};
  if (fstat(file.number(), &info) != 0) return cannot(ErrorKind::kBadFile, errno);
  if (S_ISDIR(info.st_mode)) return fail(ErrorKind::kBadFile, "is a directory, not a file");
  const bool pipe = S_ISFIFO(info.st_mode);
  if (!S_ISREG(info.st_mode) && !pipe) {
    return fail(ErrorKind::kBadFile, "is neither a regular file nor a pipe");
  }
  std::string text;
  for (;;) {  // to the end and not to info.st_size, which files of /proc do not know
    const size_t had = text.size();
    text.resize(had + kPiece);
    const ssize_t n = read(file.number(), text.data() + had, kPiece);
    const int error = errno;
    text.resize(had + (n > 0 ? static_cast<size_t>(n) : 0));
    if (n < 0 && error == EINTR) continue;
    if (n < 0 && error == EAGAIN) {
      pollfd waiting{file.number(), POLLIN, 0};
      if (poll(&waiting, 1, kPatienceMs) != 0) continue;
      return fail(ErrorKind::kBadFile, "is a pipe into which nobody writes");
    }
    if (n < 0) return cannot(ErrorKind::kBadFile, error);
    if (n == 0 && pipe && text.empty()) {
      return fail(ErrorKind::kBadFile, "is a pipe into which nobody writes");
    }
    if (n == 0) {
      if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
      return text;
    }
    if (text.size() > max_bytes) {
      return fail(ErrorKind::kBadFile, fmt::format("has more than {} bytes", max_bytes));
    }
  }
}

}  // namespace lockstep
