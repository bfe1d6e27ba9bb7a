// By the system's own calls: a stream of the standard library opens a directory and throws when it
// is read, waits at a pipe that nobody writes to, and reads a device until there is no memory.
#include "server/host/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr size_t kPathShown = 1024;  // bytes: a message should have the whole path
constexpr size_t kPiece = 64 * 1024;

struct Descriptor {
  explicit Descriptor(int opened) : number(opened) {}
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int number;
};

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
  if (file.number < 0) return cannot(ErrorKind::kNotFound, errno);
  struct stat info {};
  if (fstat(file.number, &info) != 0) return cannot(ErrorKind::kBadFile, errno);
  if (S_ISDIR(info.st_mode)) return fail(ErrorKind::kBadFile, "is a directory, not a file");
  if (!S_ISREG(info.st_mode)) return fail(ErrorKind::kBadFile, "is not a regular file");
  std::string text;
  for (;;) {  // to the end and not to info.st_size, which files of /proc do not know
    const size_t had = text.size();
    text.resize(had + kPiece);
    const ssize_t n = read(file.number, text.data() + had, kPiece);
    const int error = errno;
    text.resize(had + (n > 0 ? static_cast<size_t>(n) : 0));
    if (n < 0 && error == EINTR) continue;
    if (n < 0) return cannot(ErrorKind::kBadFile, error);
    if (n == 0) return text;
    if (text.size() > max_bytes) {
      return fail(ErrorKind::kBadFile, fmt::format("has more than {} bytes", max_bytes));
    }
  }
}

}  // namespace lockstep
