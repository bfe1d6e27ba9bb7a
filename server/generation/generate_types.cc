// What every dialect and the log say alike about an answer.
#include "server/generation/generate_types.h"

namespace lockstep {

double PerSecond(size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string_view FinishName(FinishReason reason) {
  return reason == FinishReason::kLength ? "length" : "stop";
}

double PrefillTokensPerSecond(const Answer& answer) {
  return PerSecond(answer.prompt_tokens - answer.stats.cached_tokens, answer.stats.prefill_s);
}

double DecodeTokensPerSecond(const Answer& answer) {
  return answer.tokens.empty() ? 0 : PerSecond(answer.tokens.size() - 1, answer.stats.decode_s);
}

}  // namespace lockstep
