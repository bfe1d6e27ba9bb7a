// The file of --models-preset, in llama-server's form:
//
//   ; a comment, as # begins one: a line of its own, or behind a section's name
//   [*]                ; for each model
//   context = 8192
//   [NAME]             for the model of that name
//   model = /models/file.gguf
//
// A pure function.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

struct ModelPreset {
  std::string name;
  // Names and values as they stand in the file, without those of [*].
  std::vector<std::pair<std::string, std::string>> settings;
};

// In the order of the sections; `all` gets what [*] says. Errors are kInvalidArgument and name the
// line.
[[nodiscard]] Result<std::vector<ModelPreset>> ParsePresets(
    std::string_view text, const std::string& source,
    std::vector<std::pair<std::string, std::string>>& all);

}  // namespace lockstep
