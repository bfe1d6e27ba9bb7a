// POST /v1/completions: one or more prompts, as texts or token ids. Pure functions, safe from any
// thread.
#pragma once

#include <memory>

#include "server/api/openai/common.h"

namespace lockstep {

struct CompletionsRequest : OpenAiRequest {
  bool echo = false;  // the prompt's text comes before the answer's
};

[[nodiscard]] Result<CompletionsRequest> ReadCompletionsRequest(const Json& body,
                                                                ReadContext& context);
// The service must outlive it.
std::unique_ptr<AnswerWriter> MakeCompletionsWriter(const GenerationService& service,
                                                    const CompletionsRequest& request);

}  // namespace lockstep
