// The fields of llama-server's /completion and /infill. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "server/api/response_format.h"

namespace lockstep {

struct LlamaRequest {
  GenerateRequest generate;
  AnswerFormat format;
  std::string model;  // as the request names it
  // Only the prompt is wanted, for the cache to have it: nothing is answered to it.
  bool prompt_only = false;
  bool return_tokens = false;
  bool as_list = false;  // several answers to an unstreamed request stand in a list
  // The answer's fields that are wanted; "a/b" is b of a. Empty: all.
  std::vector<std::string> response_fields;
};

// All fields but those of the prompt. llama-server's defaults hold: they are SamplingParams' own,
// and the answer has no limit.
void ReadLlamaFields(FieldReader& fields, ReadContext& context, LlamaRequest& request);
// "prompt": a text, token ids, both mixed, or a list of such prompts.
void ReadLlamaPrompt(FieldReader& fields, ReadContext& context, LlamaRequest& request);
// Whether a body is of this dialect, on a path where OpenAI's clients come to as well.
bool IsLlamaRequest(const Json& body);

}  // namespace lockstep
