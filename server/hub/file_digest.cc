// Large files are named by their SHA-256, small ones by what git calls them: the SHA-1 of "blob",
// their length and their bytes.
#include "server/hub/file_digest.h"

#include <fmt/format.h>

namespace lockstep {
namespace {

constexpr size_t kSha256Digits = 64, kGitDigits = 40;

}  // namespace

bool IsFileHash(std::string_view text) {
  return (text.size() == kSha256Digits || text.size() == kGitDigits) &&
         text.find_first_not_of("0123456789abcdef") == text.npos;
}

FileDigest::FileDigest(std::string_view hash, uint64_t size)
    : git_(hash.size() == kGitDigits), size_(size) {
  Restart();
}

void FileDigest::Restart() {
  digest_ = Digest(git_ ? HashKind::kSha1 : HashKind::kSha256);
  if (!git_) return;
  digest_.Add(fmt::format("blob {}", size_));
  digest_.Add(std::string_view("\0", 1));
}

}  // namespace lockstep
