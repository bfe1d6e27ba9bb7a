// Names and numbers that must not repeat. All functions may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep {

uint64_t RandomBits();

// 12 bytes: unique within the process, and by chance between processes.
std::string NewIdBytes();
// "<prefix>-" and 24 hex digits, of such bytes. A prefix that ends with '_' is followed by no '-':
// APIs have either, and clients tell ids by it.
std::string IdOf(std::string_view prefix, std::string_view bytes);
std::string NewId(std::string_view prefix);  // of new ones

// A client's X-Request-Id is taken over if it has 1 to 128 printable ASCII characters.
bool IsValidRequestId(std::string_view id);

}  // namespace lockstep
