// Files that are part of the binary.
#pragma once

#include <string_view>

namespace lockstep {

// server/api/openapi.json: all routes, what they take and what they answer.
std::string_view OpenApiDocument();

}  // namespace lockstep
