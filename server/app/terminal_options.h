// What the commands in a terminal are told beside the engine's options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "server/json/json_text.h"

namespace lockstep {

// The defaults are the page's: livelier than greedy, and without the long tail.
struct SamplingOptions {
  double temperature = 0.8, top_p = 0.95, min_p = 0.05;
  size_t top_k = 40;
  size_t max_tokens = 0;         // 0: what the context leaves
  std::optional<uint64_t> seed;  // none: a new one for each answer
};

struct ChatOptions {
  SamplingOptions sampling;
  std::string system;
};

struct GenerateCommandOptions {
  SamplingOptions sampling;
  std::string prompt;
  bool prompt_given = false;  // else it is read from stdin
  bool chat = false;          // the prompt is a message, and not the beginning of a text
  std::string system;
};

// The fields of a request.
inline Json SamplingJson(const SamplingOptions& options) {
  Json body = {{"temperature", options.temperature},
               {"top_p", options.top_p},
               {"min_p", options.min_p},
               {"top_k", options.top_k}};
  if (options.max_tokens > 0) body["max_tokens"] = options.max_tokens;
  if (options.seed) body["seed"] = *options.seed;
  return body;
}

}  // namespace lockstep
