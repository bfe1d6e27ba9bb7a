// Numbers are where JSON and floats part: a float is written as the shortest decimal that names it,
// and what JSON has no number for is cut to one that it has.
#include "server/api/answer_json.h"

#include <algorithm>
#include <charconv>

namespace lockstep {
namespace {

constexpr float kLowestLogprob = -9999;

}  // namespace

Json UsageJson(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

Json SeedJson(const Answer& answer) {
  if (answer.negative_seed) return static_cast<int64_t>(answer.seed);
  return answer.seed;
}

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
