// embed.S puts the bytes between two labels; the build makes it anew when the document changes.
#include "server/api/embedded_files.h"

extern "C" const char lockstep_openapi[], lockstep_openapi_end[];

namespace lockstep {

std::string_view OpenApiDocument() { return {lockstep_openapi, lockstep_openapi_end}; }

}  // namespace lockstep
