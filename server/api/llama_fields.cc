// Editors send all of llama-server's fields with every key press, so that none of them may be an
// error: what chooses tokens is obeyed, what cannot be is named, and what is about how llama-server
// keeps its caches changes no answer here.
#include "server/api/llama_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

namespace lockstep {
namespace {

// How prompts are kept and progress is told: the answer is the same.
constexpr const char* kNoEffect[] = {
    "id_slot",         "cache_prompt",      "n_keep",  "n_discard",         "n_cache_reuse",
    "return_progress", "sse_ping_interval", "verbose", "timings_per_token", "stream_options"};
// What would make another answer, with the value at which it does not.
constexpr std::pair<const char*, double> kOff[] = {
    {"n_indent", 0},       {"t_max_prompt_ms", -1},   {"t_max_predict_ms", -1}, {"min_keep", 0},
    {"mirostat", 0},       {"adaptive_target", -1},   {"adaptive_decay", 0.9},  {"mirostat_tau", 5},
    {"mirostat_eta", 0.1}, {"post_sampling_probs", 0}};

// Names in a list, or letters in a text.
std::optional<std::vector<std::string>> SamplerNames(const Json& value) {
  static constexpr std::pair<char, const char*> kLetters[] = {
      {'d', "dry"}, {'k', "top_k"},       {'y', "typ_p"},       {'p', "top_p"},    {'m', "min_p"},
      {'x', "xtc"}, {'t', "temperature"}, {'s', "top_n_sigma"}, {'e', "penalties"}};
  std::vector<std::string> names;
  if (value.is_string()) {
    for (const char letter : value.get_ref<const std::string&>()) {
      const auto* const found =
          std::ranges::find_if(kLetters, [letter](const auto& it) { return it.first == letter; });
      names.emplace_back(found == std::end(kLetters) ? "" : found->second);
    }
    return names;
  }
  if (!value.is_array()) return std::nullopt;
  for (const Json& name : value) {
    if (!name.is_string()) return std::nullopt;
    names.push_back(name.get<std::string>());
  }
  return names;
}

// Takes a sampler's fields over; false if there is none of that name.
bool TakeSampler(std::string_view name, const SamplingParams& from, SamplingParams& to) {
  if (name == "penalties") {
    to.repetition_penalty = from.repetition_penalty;
    to.presence_penalty = from.presence_penalty;
    to.frequency_penalty = from.frequency_penalty;
  } else if (name == "dry") {
    to.dry = from.dry;
  } else if (name == "top_n_sigma") {
    to.top_n_sigma = from.top_n_sigma;
  } else if (name == "top_k") {
    to.top_k = from.top_k;
  } else if (name == "typ_p" || name == "typical_p") {
    to.typical_p = from.typical_p;
  } else if (name == "top_p") {
    to.top_p = from.top_p;
  } else if (name == "min_p") {
    to.min_p = from.min_p;
  } else if (name == "xtc") {
    to.xtc_probability = from.xtc_probability;
    to.xtc_threshold = from.xtc_threshold;
  } else if (name == "temperature") {
    to.temperature = from.temperature;
    to.dynatemp_range = from.dynatemp_range;
    to.dynatemp_exponent = from.dynatemp_exponent;
  } else {
    return false;
  }
  return true;
}

// The samplers that are named are those that choose; others are off. Their order is this server's.
void ReadSamplers(FieldReader& fields, ReadContext& context, SamplingParams& sampling) {
  const Json* const value = fields.Take("samplers");
  if (value == nullptr) return;
  const auto names = SamplerNames(*value);
  if (!names) return fields.Fail("samplers", "must be a list of names, or a text of letters");
  const SamplingParams chosen = std::exchange(sampling, {});
  SetOpenDefaults(sampling);  // all off
  sampling.repeat_last_n = chosen.repeat_last_n;
  sampling.logit_bias = chosen.logit_bias;
  sampling.seed = chosen.seed;
  sampling.logprobs = chosen.logprobs;
  for (size_t i = 0; i < names->size(); ++i) {
    if (!TakeSampler((*names)[i], chosen, sampling)) {
      context.ignored.push_back(fmt::format("samplers[{}]", i));
    }
  }
}

void ReadLimits(FieldReader& fields, LlamaRequest& request) {
  int64_t count = -1;
  // Below 0 there is no limit, as llama-server has it: -2 has been "until the context is full".
  for (const char* name : {"max_tokens", "max_completion_tokens", "n_predict"}) {
    fields.Integer(name, INT32_MIN, INT32_MAX, &count);
  }
  request.prompt_only = count == 0;
  request.generate.options.max_tokens =
      count < 0 ? size_t{INT32_MAX} : static_cast<size_t>(std::max<int64_t>(count, 1));
  fields.Integer("n", 1, kMaxAnswers, &request.generate.n);
  fields.Integer("n_cmpl", 1, kMaxAnswers, &request.generate.n);
  request.generate.best_of = request.generate.n;
}

// What is off by a number is off by false, too.
void ReadWishes(FieldReader& fields, ReadContext& context) {
  for (const char* name : kNoEffect) fields.Take(name);
  for (const auto& [name, off] : kOff) {
    const Json* const value = fields.Take(name);
    if (value == nullptr || *value == false || *value == off) continue;
    if (value->is_number() && off <= 0 && value->get<double>() <= off) continue;
    context.ignored.emplace_back(name);
  }
  for (const char* name : {"lora", "image_data", "multimodal_data"}) {
    const Json* const value = fields.Take(name);
    if (value != nullptr && !value->empty()) {
      fields.Fail(name,
                  "is not supported: this server has one model, without adapters, that reads "
                  "text only");
    }
  }
}

void ReadResponseFields(FieldReader& fields, std::vector<std::string>* names) {
  const Json* const value = fields.Take("response_fields");
  if (value == nullptr) return;
  if (!value->is_array()) return fields.Fail("response_fields", "must be a list of names");
  for (const Json& name : *value) {
    if (!name.is_string()) return fields.Fail("response_fields", "must be a list of names");
    names->push_back(name.get<std::string>());
  }
}

// One prompt. Mixed ones are encoded piece by piece, the first text as a text's beginning. Objects
// are llama-server's for texts with images, which may have none.
Result<GenerateRequest::Prompt> ReadPrompt(const Json& value, const std::string& where,
                                           ReadContext& context, const GenerateRequest& request) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object()) {
    FieldReader object(value, where + ".");
    std::string text;
    if (!object.Text("prompt_string", &text)) object.Fail("prompt_string", "must be a string");
    if (const Json* media = object.Take("multimodal_data"); media != nullptr && !media->empty()) {
      object.Fail("multimodal_data", "is not supported: the model reads text alone");
    }
    TRY_OK(object.Finish(context.unknown()));
    return text;
  }
  if (!value.is_array()) {
    return Fail(ErrorKind::kInvalidArgument,
                where + " must be a text, or a list of token ids and texts", "prompt");
  }
  std::vector<int32_t> ids;
  for (size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_string()) {
      TRY(const std::vector<int32_t> id,
          ReadTokenIds(Json::array({value[i]}), context.vocab(), where, "prompt"));
      ids.push_back(id[0]);
      continue;
    }
    const auto& text = value[i].get_ref<const std::string&>();
    TRY_OK(context.memory.Grow(text.size() * Tokenizer::kEncodeBytes));
    const std::vector<int32_t> more = context.service.Encode(
        text, /*add_special=*/i == 0,
        request.parse_special ? SpecialTokens::kParse : SpecialTokens::kAsText);
    ids.insert(ids.end(), more.begin(), more.end());
  }
  return ids;
}

bool HasNoIds(const GenerateRequest::Prompt& prompt) {
  const auto* const ids = std::get_if<std::vector<int32_t>>(&prompt);
  return ids != nullptr && ids->empty();
}

}  // namespace

void ReadLlamaFields(FieldReader& fields, ReadContext& context, LlamaRequest& request) {
  GenerateRequest& generate = request.generate;
  SamplingParams& sampling = generate.options.sampling;
  ReadModel(fields, context, &request.model);
  // Below 0 it is 0, as llama-server has it.
  fields.Float("temperature", {-100, 100}, &sampling.temperature);
  sampling.temperature = std::max(sampling.temperature, 0.0F);
  ReadSampling(fields, context, generate);
  // -1 asks for any number, and so does the same in the 32 bits that llama-server keeps of it.
  if (generate.negative_seed || sampling.seed == UINT32_MAX) {
    generate.has_seed = generate.negative_seed = false;
  }
  fields.Float("repeat_penalty", {0, 100, true}, &sampling.repetition_penalty);
  if (sampling.repeat_last_n < 0 && !fields.Has("repeat_last_n")) sampling.repeat_last_n = 64;
  int32_t count = 0;
  for (const char* name : {"logprobs", "n_probs"}) fields.Integer(name, 0, kMaxLogprobs, &count);
  if (count > 0) sampling.logprobs = count;
  ReadSamplers(fields, context, sampling);
  ReadLimits(fields, request);
  ReadWishes(fields, context);
  ReadResponseFields(fields, &request.response_fields);
  fields.Bool("return_tokens", &request.return_tokens);
  fields.Bool("parse_special", &generate.parse_special);
  request.format = ReadLlamaFormat(fields, context);
}

void ReadLlamaPrompt(FieldReader& fields, ReadContext& context, LlamaRequest& request) {
  const Json* const value = fields.Take("prompt");
  if (value == nullptr) {
    return fields.Fail("prompt",
                       "is missing: a text, a list of token ids and texts, or a list of "
                       "such prompts");
  }
  // A list is one prompt where it has a number, and several where it has none.
  const bool several = value->is_array() && !value->empty() &&
                       std::ranges::none_of(*value, [](const Json& v) { return v.is_number(); });
  const Json list = several ? *value : Json::array({*value});
  const size_t most = std::min(kMaxPrompts, kMaxAnswersInAll / request.generate.n);
  if (list.size() > most) {
    return fields.Fail("prompt", fmt::format("has {} prompts with {} answers each; send at most {}",
                                             list.size(), request.generate.n, most));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = several ? fmt::format("prompt[{}]", i) : "prompt";
    auto prompt = ReadPrompt(list[i], where, context, request.generate);
    if (!prompt) return fields.Fail(std::move(prompt.error()));
    if (HasNoIds(*prompt)) {
      return fields.Fail({ErrorKind::kInvalidArgument, where + " is empty", "prompt"});
    }
    request.generate.prompts.push_back(*std::move(prompt));
  }
  request.as_list = list.size() * request.generate.n > 1;
}

bool IsLlamaRequest(const Json& body) {
  constexpr const char* kOwn[] = {"n_predict",     "cache_prompt",    "id_slot", "n_probs",
                                  "return_tokens", "response_fields", "samplers"};
  return std::ranges::any_of(kOwn,
                             [&](const char* name) { return FindField(body, name) != nullptr; });
}

}  // namespace lockstep
