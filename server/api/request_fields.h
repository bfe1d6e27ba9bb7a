// What the dialects' requests have in common: limits, the fields of most of them, and what reading
// takes besides the body. The functions are safe from any thread; a ReadContext is of one request.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"
#include "server/json/field_reader.h"
#include "server/json/json_text.h"

namespace lockstep {

// These limits bound the work that one request can ask for.
inline constexpr size_t kMaxStops = 32, kMaxStopBytes = 256;
inline constexpr size_t kMaxBiases = 1024;
inline constexpr size_t kMaxAnswers = 8;   // to one prompt: n, best_of
inline constexpr size_t kMaxPrompts = 32;  // of one request
inline constexpr size_t kMaxAnswersInAll = 64;
inline constexpr int64_t kMaxLogprobs = 20;

// What reading a request takes besides its body, and what becomes known on the way.
struct ReadContext {
  const GenerationService& service;
  const std::vector<std::string>& model_aliases;
  bool lenient = false;  // unknown fields are ignored
  // What takes no effect, by name: unknown fields, fields whose wish cannot be granted, and
  // keywords of schemas that are not strict. The reply says so.
  std::vector<std::string> ignored;
  std::string_view accept = {};            // the header Accept
  std::function<bool()> gone = {};         // whether the client has gone, and nobody waits
  std::set<std::string>* known = nullptr;  // gets the names of all fields that are read

  size_t vocab() const { return service.model().vocab; }
  // For FieldReader::Finish.
  UnknownFields unknown() { return {lenient ? &ignored : nullptr, known}; }
};

// What the dialects have in common, under the names that most of them use: those of `Sampling` in
// openapi.json. An empty stop string is none, and a top_k of -1 is 0, as vLLM has it.
void ReadSampling(FieldReader& fields, size_t vocab, GenerateRequest& request);
// An array's items, each an integer from 0 to vocab - 1; `where` is its name in messages.
[[nodiscard]] Result<std::vector<int32_t>> ReadTokenIds(const Json& array, size_t vocab,
                                                        std::string_view where,
                                                        std::string_view param);

}  // namespace lockstep
