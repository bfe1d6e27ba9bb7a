// W3C Trace Context: which trace of a larger system a request belongs to. Pure but for the new ids.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

struct TraceContext {
  std::string trace_id;   // 32 hex digits, the caller's
  std::string span_id;    // 16 hex digits, this request's own
  std::string parent_id;  // the caller's
  std::string flags;      // 2 hex digits, the caller's
  // Whether the caller tells of this trace.
  bool sampled() const { return std::string_view("13579bdf").find(flags[1]) != std::string::npos; }
  std::string header() const { return "00-" + trace_id + "-" + span_id + "-" + flags; }
};

// Ids for a trace that begins here, and for a span. An id must not be zero, and never is.
std::string NewTraceId();
std::string NewSpanId();

// From the value of a traceparent header, with a new span id; nothing if it is not valid.
std::optional<TraceContext> ContinueTrace(std::string_view traceparent);

}  // namespace lockstep
