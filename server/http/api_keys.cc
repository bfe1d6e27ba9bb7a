// Only hashes are kept, so that no dump of the memory shows a key, and they are compared in
// constant time, so that no clock tells how much of a guess was right.
#include "server/http/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <sstream>

#include "core/base/quoted.h"
#include "server/host/read_file.h"
#include "server/http/http_types.h"

namespace lockstep {
namespace {

// What can stand in a header.
bool IsValidKey(std::string_view key) {
  return !key.empty() &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

Result<ApiKeys> ApiKeys::Load(const std::vector<std::string>& keys, const std::string& file) {
  ApiKeys loaded;
  for (const std::string& key : keys) {
    if (!IsValidKey(key)) {
      return Fail(ErrorKind::kInvalidArgument,
                  "--api-key: a key must be printable ASCII without spaces", "api-key");
    }
    loaded.hashes_.push_back(HashOf(key));
  }
  if (file.empty()) return loaded;
  const auto text = ReadSmallFile(file);
  if (!text) {
    return Fail(ErrorKind::kInvalidArgument, "--api-key-file: " + text.error().message,
                "api-key-file");
  }
  std::istringstream in(*text);
  const size_t before = loaded.size();
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    const std::string_view key = TrimSpaces(line);
    if (key.empty() || key[0] == '#') continue;
    if (!IsValidKey(key)) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("--api-key-file: {}, line {}: a key must be printable ASCII without "
                              "spaces",
                              Quoted(file), number),
                  "api-key-file");
    }
    loaded.hashes_.push_back(HashOf(key));
  }
  if (loaded.size() == before) {  // a secret that was not put there, which would let everyone in
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--api-key-file: {} has no key", Quoted(file)), "api-key-file");
  }
  return loaded;
}

// Hashes have one length, so comparing them tells nothing of a key's.
std::optional<std::string> ApiKeys::NameOf(std::string_view key) const {
  const Hash hash = HashOf(key);
  size_t found = 0;
  for (size_t i = 0; i < hashes_.size(); ++i) {
    const bool same = CRYPTO_memcmp(hash.data(), hashes_[i].data(), hash.size()) == 0;
    found = same ? i + 1 : found;
  }
  if (found == 0) return std::nullopt;
  return fmt::format("key-{}", found);
}

std::string ApiKeys::ScopeOf(std::string_view name) const {
  size_t i = 0;
  while (name != fmt::format("key-{}", i + 1)) ++i;
  return fmt::format("{:02x}", fmt::join(hashes_[i], ""));
}

ApiKeys::Hash ApiKeys::HashOf(std::string_view key) {
  Hash hash;
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), hash.data());
  return hash;
}

}  // namespace lockstep
