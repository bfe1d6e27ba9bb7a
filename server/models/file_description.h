// What /api/show says of a model that is not loaded, from its file's header.
#pragma once

#include <string>

#include "core/base/status.h"
#include "server/json/json_text.h"

namespace lockstep {

// Fills in all but the time. Of capabilities it has those that the header tells: whether a template
// has a form for thoughts is known once it is loaded. `generic_tools`: any model that chats has
// tools. Errors are kBadFile. Reads no weights.
[[nodiscard]] Result<Json> DescribeFile(const std::string& path, bool generic_tools);

// Where the files are is for the log alone; a client can know their names.
Error WithoutFolder(Error error, const std::string& path);

}  // namespace lockstep
