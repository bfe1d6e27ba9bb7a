// Numbers are where JSON and floats part: a float is written as the shortest decimal that names it,
// and what JSON has no number for is cut to one that it has.
#include "server/api/answer_json.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace lockstep {
namespace {

// OpenAI writes -9999.0 for a token that is not likely at all, and JSON has no infinity.
constexpr float kLowestLogprob = -9999;

}  // namespace

Json UsageJson(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

Json PromptProgressJson(const Generation& generation) {
  const PromptsRead prompts = generation.prompts_read();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(generation.elapsed());
  return {{"total", prompts.total},
          {"cache", prompts.cached},
          {"processed", prompts.read},
          {"time_ms", ms.count()}};
}

// The engine's seeds have 64 bits without a sign, and -1 comes here as 2^64 - 1.
Json SeedJson(const Answer& answer) {
  if (answer.negative_seed) return static_cast<int64_t>(answer.seed);
  return answer.seed;
}

// A float that becomes a double as it is prints as -0.10000000149011612; through its shortest text
// it is -0.1, which is the same float again.
double LogprobNumber(float logprob) {
  logprob = std::max(logprob, kLowestLogprob);
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, logprob).ptr;
  double number = logprob;
  std::from_chars(text, end, number);
  return number;
}

Json BytesJson(std::string_view bytes) {
  Json json = Json::array();
  for (const char byte : bytes) json.push_back(static_cast<uint8_t>(byte));
  return json;
}

}  // namespace lockstep
