// What all of Ollama's routes share: names of models, times, and what they say of a model. Pure
// functions, safe from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/api/request_fields.h"
#include "server/generation/generation_service.h"
#include "server/json/json_text.h"

namespace lockstep {

// The version of Ollama whose API this is. Clients compare it before they use what came late.
inline constexpr char kOllamaVersion[] = "0.33.0";
// A model that is never unloaded: the last year that a count of nanoseconds in 64 bits can hold,
// which is what Ollama itself answers.
inline constexpr char kNever[] = "2262-01-01T00:00:00Z";

// The name in lists: "name:latest", or as it is where it has a tag.
std::string TaggedName(std::string_view name);
// RFC 3339 in UTC, with nanoseconds.
std::string Rfc3339(std::chrono::system_clock::time_point time);
// "1.2B", "134.52M": the number as Ollama's lists write it.
std::string HumanCount(uint64_t count);
// {"parent_model", "format", "family", "families", "parameter_size", "quantization_level"}
Json ModelDetailsJson(const ModelCard& card);
// What the card has under a key, or "" if that is no text.
std::string CardText(const ModelCard& card, std::string_view wanted);
// The header's keys. `context` is what there is room for here: clients make their prompts as long
// as it says.
Json ModelInfoJson(const ModelCard& card, size_t context);
// ["completion", "tools", ...]; `generic_tools` as in ReadContext.
Json CapabilitiesJson(const GenerationService& service, bool generic_tools);

}  // namespace lockstep
