// The JSON of the API: requests in, answers out. Nothing here throws; every refusal is a sentence
// that names the field. Pure functions, safe from any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/status.h"
#include "server/api_types.h"
#include "server/generation_service.h"

namespace lockstep {

inline constexpr size_t kMaxStops = 4, kMaxStopBytes = 256;
inline constexpr size_t kMaxBiases = 1024;

// The body of POST /generate. Strict: an unknown field, a field twice, a value out of range, text
// that is not UTF-8 or more than 64 levels deep are kInvalidArgument. null counts as absent.
// max_tokens has no upper limit here: the session cuts it to what the context leaves.
[[nodiscard]] Result<GenerateRequest> ParseGenerateRequest(std::string_view body, size_t vocab);

// {"index", "token", "text"[, "logprobs"]}
std::string RenderToken(const GenerationService& service, const TokenEvent& event,
                        bool wants_logprobs);
// {"id", "text", "tokens", "finish_reason", "usage", "timings", "seed", "system_fingerprint"
//  [, "logprobs"][, "done": true]}
std::string RenderAnswer(const GenerationService& service, const GenerateAnswer& answer, bool done);
std::string RenderModels(const ServedModel& model);
// {"status", "queued", "running"}
std::string RenderState(std::string_view status, const SchedulerState& state);
// {"status": "loading", "percent"}
std::string RenderLoading(size_t percent);

// "stop" or "length".
std::string_view FinishName(FinishReason reason);

double PrefillTokensPerSecond(const GenerateAnswer& answer);
double DecodeTokensPerSecond(const GenerateAnswer& answer);

}  // namespace lockstep
