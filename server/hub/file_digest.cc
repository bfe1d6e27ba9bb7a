// Large files are named by their SHA-256, small ones by what git calls them: the SHA-1 of "blob",
// their length and their bytes.
#include "server/hub/file_digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

namespace lockstep {
namespace {

constexpr size_t kSha256Digits = 64, kGitDigits = 40;

}  // namespace

struct FileDigest::Context {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> md{EVP_MD_CTX_new(), EVP_MD_CTX_free};
  bool fine = true;
};

bool IsFileHash(std::string_view text) {
  return (text.size() == kSha256Digits || text.size() == kGitDigits) &&
         text.find_first_not_of("0123456789abcdef") == text.npos;
}

FileDigest::FileDigest(std::string_view hash, uint64_t size)
    : git_(hash.size() == kGitDigits), size_(size), context_(std::make_unique<Context>()) {
  Restart();
}

FileDigest::~FileDigest() = default;

void FileDigest::Restart() {
  context_->fine =
      context_->md != nullptr &&
      EVP_DigestInit_ex(context_->md.get(), git_ ? EVP_sha1() : EVP_sha256(), nullptr) == 1;
  if (git_) {
    Add(fmt::format("blob {}", size_));
    Add(std::string_view("\0", 1));
  }
}

void FileDigest::Add(std::string_view bytes) {
  context_->fine =
      context_->fine && EVP_DigestUpdate(context_->md.get(), bytes.data(), bytes.size()) == 1;
}

std::string FileDigest::Hex() {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!context_->fine || EVP_DigestFinal_ex(context_->md.get(), digest, &size) != 1) return {};
  return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
}

}  // namespace lockstep
