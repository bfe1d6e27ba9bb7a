// A request that has ended as the spans of a trace, in OTLP's JSON (opentelemetry-proto 1,
// trace/v1), with the names of OpenTelemetry's semantic conventions for HTTP and generative AI. No
// text of a prompt or an answer is in it. Pure.
#pragma once

#include <chrono>
#include <span>

#include "server/http/http_types.h"
#include "server/json/json_text.h"
#include "server/telemetry/otlp_settings.h"

namespace lockstep {

struct EndedRequest {
  RequestRecord record;  // with a trace's and a span's id
  std::chrono::system_clock::time_point end;
};

// The body of POST /v1/traces. The request is a span, and what its time went to are its children:
// the wait for a session, the reading of the prompt and the writing of the answer.
Json TracesJson(std::span<const EndedRequest> requests, const OtlpSettings& settings,
                const char* version);

}  // namespace lockstep
