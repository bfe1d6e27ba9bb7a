// The models of --models-preset, whose settings are flags of this program.
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/app/options.h"
#include "server/models/model_catalog.h"

namespace lockstep {

struct PresetModels {
  std::vector<CatalogModel> models;
  std::vector<std::string> all;  // flags of the models that have no preset
};

// None where the options name no file. A flag of the command line comes before one of the file.
// Errors are kInvalidArgument, or kNotFound where there is no such file.
[[nodiscard]] Result<PresetModels> ReadPresetModels(const Options& options);

}  // namespace lockstep
