// An id has 64 random bits of the process and a count: no lock and no system call for each, and two
// replicas behind one gateway do not give the same.
#include "server/http/ids.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "core/base/digest.h"

namespace lockstep {

uint64_t RandomBits() {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) == sizeof bits) return bits;
  // Where the kernel lacks the call the clock has to do: the bits must differ, not be secret.
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) *
         0x9E3779B97F4A7C15u;
}

std::string NewId(std::string_view prefix) { return IdOf(prefix, NewIdBytes()); }

std::string NewIdBytes() {
  static const uint64_t kProcess = RandomBits();
  static std::atomic<uint32_t> count{0};
  const uint32_t number = count.fetch_add(1);
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(kProcess >> shift);
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
  return bytes;
}

std::string IdOf(std::string_view prefix, std::string_view bytes) {
  return fmt::format("{}{}{}", prefix, prefix.ends_with('_') ? "" : "-", Hex(bytes));
}

bool IsValidRequestId(std::string_view id) {
  return !id.empty() && id.size() <= 128 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace lockstep
