// What the dialects' requests have in common: limits, the fields of most of them, and what reading
// takes besides the body. The functions are safe from any thread; a ReadContext is of one request.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/memory_budget.h"
#include "core/base/status.h"
#include "server/generation/compile_queue.h"
#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"
#include "server/json/field_reader.h"
#include "server/json/json_text.h"

namespace lockstep {

// These limits bound the work that one request can ask for.
inline constexpr size_t kMaxStops = 32, kMaxStopBytes = 4096;
inline constexpr size_t kMaxBiases = 1024;
inline constexpr size_t kMaxAnswers = 8;   // to one prompt: n, best_of
inline constexpr size_t kMaxPrompts = 32;  // of one request
inline constexpr size_t kMaxAnswersInAll = 64;
// The most prompts, and answers to them, where an answer is a token at most: what those send who
// measure models.
inline constexpr size_t kMaxShortAnswers = 128;
inline constexpr int64_t kMaxLogprobs = 20;

inline constexpr size_t kMaxModelName = 256;  // bytes of a name in a request

// What the model is called beside its own name and general.name. There is one model, and whoever
// asks for another gets it: what a client was configured with is seldom what a file is called.
struct ModelNames {
  std::vector<std::string> aliases;  // listed among the models; * is any name
  bool strict = false;               // others than these, dummy and tgi are refused
};
// Whether the model answers to it. Ollama's clients add ":latest" to names without a tag.
bool IsModelName(const ServedModel& model, const ModelNames& names, std::string_view name);
// The model that makes vectors beside the one that generates; null where there is none.
const ServedModel* ModelBeside(const GenerationService& service);
// Which of the two the name is meant for, of which the second counts only under its own names: the
// others are those of the one that a route needs.
// Null where no model answers to it.
const ServedModel* FindModel(const GenerationService& service, const ModelNames& names,
                             std::string_view name);
Error NoSuchModel(const ServedModel& model, std::string_view name);

class ResponseStore;

// What reading a request takes besides its body, and what becomes known on the way.
struct ReadContext {
  const GenerationService& service;
  const ModelNames& names;
  bool lenient = false;  // unknown fields are ignored
  // What takes no effect, by name: unknown fields, fields whose wish cannot be granted, and
  // keywords of schemas that are not strict. The reply says so.
  std::vector<std::string> ignored;
  std::vector<std::pair<std::string, std::string>> headers = {};  // further ones of the reply
  bool generic_tools = true;                           // for models whose template has no tools
  std::string_view accept = {};                        // the header Accept
  std::string_view request_id = {};                    // stands in some dialects' errors
  CompileClient compile_for = {};                      // grammars are
  std::shared_ptr<ResponseStore> responses = nullptr;  // of /v1/responses; null: none are kept
  std::set<std::string>* known = nullptr;              // gets the names of all fields that are read
  MemoryBudget::Share memory = {};  // of what the request holds; grows before that is made

  size_t vocab() const { return service.model().vocab; }
  // What FieldReader::Finish is to do with fields that nobody reads.
  UnknownFields unknown() { return {lenient ? &ignored : nullptr, known}; }
};

// "model": kNotFound for a name that the model does not answer to. *name becomes what the answer is
// to call it: the name that was sent, else its own.
void ReadModel(FieldReader& fields, const ReadContext& context, std::string* name);
// Checks the name alone, for replies that do not tell it.
void ReadModel(FieldReader& fields, const ReadContext& context);
// Reads "model" as ReadModel does, for the model that makes vectors. REQUIRES: there is one.
void ReadEmbeddingModel(FieldReader& fields, const ReadContext& context, std::string* name);
// Temperature 1 and nothing cut off: the defaults that OpenAI documents, and that the APIs made
// after its own have, too. Those of the server's own dialect differ.
void SetOpenDefaults(SamplingParams& sampling);
// What the dialects have in common, under the names that most of them use: those of `Sampling` in
// openapi.json. An empty stop string is none, and a top_k of -1 is 0, as vLLM has it.
void ReadSampling(FieldReader& fields, const ReadContext& context, GenerateRequest& request);
// Reads one of ReadSampling's fields, for dialects that have the others elsewhere.
void ReadCacheSalt(FieldReader& fields, GenerateRequest& request);
// A stop string or a list of them, which are added to `stop`.
void ReadStop(FieldReader& fields, std::string_view name, std::vector<std::string>* stop);
// An array's items, each an integer from 0 to vocab - 1; `where` is its name in messages.
[[nodiscard]] Result<std::vector<int32_t>> ReadTokenIds(const Json& array, size_t vocab,
                                                        std::string_view where,
                                                        std::string_view param);

}  // namespace lockstep
