// What spans and metrics have in common in OTLP's JSON (opentelemetry-proto 1, common/v1 and
// resource/v1), and in the semantic conventions for generative AI. Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "server/http/http_types.h"
#include "server/json/json_text.h"
#include "server/telemetry/otlp_settings.h"

namespace lockstep {

// {"key": ..., "value": ...}. Integers are decimal strings.
Json OtlpAttribute(std::string_view key, Json value);
Json OtlpAttribute(std::string_view key, const std::string& text);
Json OtlpAttribute(std::string_view key, size_t number);
Json OtlpAttribute(std::string_view key, double number);

// Since 1970, as a decimal string.
std::string OtlpNanoseconds(std::chrono::system_clock::time_point time);

Json OtlpResource(const OtlpSettings& settings, const char* version);
Json OtlpScope(const char* version);

// gen_ai.provider.name
constexpr char kGenAiProvider[] = "lockstep";
// Whether the request's outcome is its error.type.
bool IsError(const RequestRecord& record);

}  // namespace lockstep
