// Names and numbers that must not repeat. All functions may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep {

uint64_t RandomBits();

// "<prefix>-" and 24 hex digits: unique within the process, and by chance between processes. A
// prefix that ends with '_' is followed by no '-': APIs have either, and clients tell ids by it.
std::string NewId(std::string_view prefix);

// A client's X-Request-Id is taken over if it has 1 to 128 printable ASCII characters.
bool IsValidRequestId(std::string_view id);

}  // namespace lockstep
