// Models by name: looked for in the cache folder, or fetched into it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/hub/address_cache.h"
#include "server/hub/download.h"
#include "server/hub/hub_cache.h"
#include "server/hub/hub_settings.h"
#include "server/hub/model_name.h"

namespace lockstep {

// For one thread.
class Hub {
 public:
  // The observer is told of all of a model's files as one.
  Hub(HubSettings settings, DownloadPolicy policy, DownloadObserver observer);

  // The path of the model's file, or of its first part. What the cache has is taken as it is, and
  // nobody is asked: a model does not change by itself. A name without a quantization is one that
  // the cache has where it has the usual one (Q4_K_M), or where the hub cannot be reached.
  [[nodiscard]] Result<std::string> Find(const ModelName& name);

  // Finds it on the hub as that is now: a new version is fetched beside the old one.
  [[nodiscard]] Result<std::string> Pull(const ModelName& name);

  // Every model that is there whole, from hubs and from addresses.
  std::vector<CachedModel> List() const;
  // Removes what the name means, or all of a repository if it says no quantization, and returns the
  // bytes that are free now. kNotFound if there is nothing of that name.
  [[nodiscard]] Result<uint64_t> Remove(const ModelName& name) const;

 private:
  struct File {
    std::string path, hash;
    std::optional<uint64_t> size;
  };
  struct Listing {
    std::string commit;
    std::vector<File> files;  // sorted by path
  };

  Result<Listing> Ask(const ModelName& name) const;
  Result<WholeReply> AskUntilAnswered(const HttpGet& request, const std::string& what) const;
  Result<std::string> FindCached(const ModelName& name, const std::string& quant) const;
  Result<std::string> Fetch(const ModelName& name, const Listing& listing);
  Status FetchPart(const ModelName& name, const Listing& listing, const File& file);
  Result<std::string> FetchAddress(const ModelName& name, bool again);
  Result<FileLock> Lock(const std::string& path, const std::string& what) const;

  const HubSettings settings_;
  const DownloadPolicy policy_;
  const DownloadObserver observer_;
  const HubCache cache_;
  const AddressCache addresses_;
  uint64_t done_before_ = 0, total_ = 0;  // bytes of the parts that are there, and of all
};

}  // namespace lockstep
