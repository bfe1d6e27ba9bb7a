// What a prompt of a request is in tokens: a text by the request's own rules, and cut as it says.
// Safe from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"

namespace lockstep {

std::vector<int32_t> PromptTokens(const GenerationService& service, const GenerateRequest& request,
                                  const GenerateRequest::Prompt& prompt);

}  // namespace lockstep
