// The header has a fixed layout (W3C Trace Context, 3.2), so its parts are taken by position:
//   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
#include "server/http/trace_context.h"

#include <fmt/format.h>

#include "server/http/ids.h"

namespace lockstep {
namespace {

bool IsLowerHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == text.npos; }

}  // namespace

std::string NewTraceId() { return fmt::format("{:016x}{:016x}", RandomBits() | 1, RandomBits()); }
std::string NewSpanId() { return fmt::format("{:016x}", RandomBits() | 1); }

// version "-" trace-id "-" parent-id "-" flags; later versions may add more behind a dash.
std::optional<TraceContext> ContinueTrace(std::string_view traceparent) {
  constexpr size_t kLength = 55;
  if (traceparent.size() < kLength || traceparent[2] != '-' || traceparent[35] != '-' ||
      traceparent[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = traceparent.substr(0, 2), trace = traceparent.substr(3, 32),
                         parent = traceparent.substr(36, 16), flags = traceparent.substr(53, 2);
  if (traceparent.size() > kLength && (version == "00" || traceparent[kLength] != '-')) {
    return std::nullopt;
  }
  if (!IsLowerHex(version) || version == "ff" || !IsLowerHex(trace) || IsZero(trace) ||
      !IsLowerHex(parent) || IsZero(parent) || !IsLowerHex(flags)) {
    return std::nullopt;
  }
  return TraceContext{std::string(trace), NewSpanId(), std::string(parent), std::string(flags)};
}

}  // namespace lockstep
