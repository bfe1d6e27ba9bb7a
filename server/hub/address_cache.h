// Files that were fetched from addresses of their own, which no hub's folder has a place for:
//
//   urls/HASH/address    the address of the folder that the files are from
//   urls/HASH/FILE       a file, and FILE.etag what the server calls its version
//
// The parts of a model stand in one folder of the server, and so in one here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/hub/hub_cache.h"

namespace lockstep {

class AddressCache {
 public:
  explicit AddressCache(std::string folder) : folder_(std::move(folder)) {}

  // Where the file of the address is or would be. REQUIRES: as ParseModelName lets it through.
  std::string PathOf(const std::string& address) const;
  // Notes the address, so that List can tell it.
  [[nodiscard]] Status Note(const std::string& address) const;

  std::vector<CachedModel> List() const;
  // The model's files. Returns the bytes.
  [[nodiscard]] static Result<uint64_t> Remove(const CachedModel& model);

 private:
  const std::string folder_;
};

// The addresses of all parts, in order; of one part, its own.
std::vector<std::string> PartAddresses(const std::string& address);

}  // namespace lockstep
