// Which models there are to be served: those of a folder, and those that were fetched by name.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace lockstep {

struct CatalogModel {
  std::string name;
  std::string path;      // of the file, or of its first part
  uint64_t bytes = 0;    // of all parts
  int64_t modified = 0;  // Unix time of the first
  bool fetched = false;  // by name, and not of the folder
  std::vector<std::string> aliases;
  std::vector<std::string> arguments;  // flags of its own: "--context=9"
  bool at_start = false;               // loaded before anybody asks for it
};

// The models of the folder, sorted by name: each GGUF file is one, named after it, and so are the
// files of each folder in it, named FOLDER, or FOLDER/FILE where there are several. A split model
// counts once, and only with all its parts; projectors are none. kNotFound if it cannot be read.
// `notes`: sentences about files that are left out though they may be meant to be models.
[[nodiscard]] Result<std::vector<CatalogModel>> ScanModels(
    const std::string& folder, std::vector<std::string>* notes = nullptr);

class ModelCatalog {
 public:
  // `fetched` lists the models that were fetched; one of the folder comes before one of its name.
  // The presets come before both, and one without a path says how the model of its name is served;
  // `all` are the flags of those that have no preset. An empty folder is none.
  ModelCatalog(std::string folder, std::function<std::vector<CatalogModel>()> fetched,
               std::vector<CatalogModel> presets = {}, std::vector<std::string> all = {});

  // The models of the folder as it is now; where it cannot be read any more, what it had.
  std::vector<CatalogModel> List();
  // By its name or an alias, as they are written, also behind it ":latest", or a file's ".gguf".
  // Looks into the folder again for a name that was not there before.
  std::optional<CatalogModel> Find(std::string_view name);

 private:
  const std::string folder_;
  const std::function<std::vector<CatalogModel>()> fetched_;
  const std::vector<CatalogModel> presets_;
  const std::vector<std::string> all_;
  Mutex mutex_;
  std::vector<CatalogModel> models_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
