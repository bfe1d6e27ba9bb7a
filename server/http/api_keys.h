// Who may use the API. Keys are kept as hashes, and never logged or shown. Immutable, so safe from
// any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

class ApiKeys {
 public:
  ApiKeys() = default;  // no keys: everyone may
  // Takes these keys and those of the file, which has one a line, and # for comments. An empty path
  // is no file, but a file without a key is an error: it would let everyone in. Errors are
  // kInvalidArgument and do not show a key.
  [[nodiscard]] static Result<ApiKeys> Load(const std::vector<std::string>& keys,
                                            const std::string& file);

  bool empty() const { return hashes_.empty(); }
  size_t size() const { return hashes_.size(); }
  // The key's name, "key-1" for the first; nothing if it is none of ours. Takes the same time for
  // every `key` of one length.
  std::optional<std::string> NameOf(std::string_view key) const;
  // What tells the key of that name from all others, in whichever order they are given to whichever
  // server; the key itself does not follow from it. REQUIRES: NameOf gave the name.
  std::string ScopeOf(std::string_view name) const;

 private:
  using Hash = std::array<uint8_t, 32>;  // SHA-256
  static Hash HashOf(std::string_view key);
  std::vector<Hash> hashes_;
};

}  // namespace lockstep
