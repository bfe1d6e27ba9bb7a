// The fields that mean the same in every dialect, read once for all of them.
#include "server/api/request_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "core/base/quoted.h"
#include "server/api/sampler_fields.h"
#include "server/generation/embedding_service.h"

namespace lockstep {
namespace {

constexpr size_t kMaxSalt = 256;  // bytes: more tell nobody apart
// Less than any likeliest token has: 1 / size of a vocabulary.
constexpr float kLeastTopP = 1e-9F;

// llama-server's form: pairs of a token id or a text and a number, or false for a ban.
void ReadBiasPairs(FieldReader& fields, const Json& pairs, const ReadContext& context,
                   GenerationOptions& options) {
  constexpr std::string_view kName = "logit_bias";
  const std::string form = fmt::format(
      "must be an object of token ids with a number each, or a list of at most {} pairs of a token "
      "id or a text and a number from -100 to 100 or false",
      kMaxBiases);
  if (pairs.size() > kMaxBiases) return fields.Fail(kName, form);
  const auto last = static_cast<int64_t>(context.vocab()) - 1;
  std::map<int32_t, float> biases;
  for (const Json& pair : pairs) {
    if (!pair.is_array() || pair.size() != 2) return fields.Fail(kName, form);
    std::vector<int32_t> tokens;
    if (pair[0].is_string()) {
      tokens = context.service.Encode(pair[0].get<std::string>(), /*add_special=*/false,
                                      SpecialTokens::kAsText);
    } else if (IsIntegerIn(pair[0], 0, last)) {
      tokens = {pair[0].get<int32_t>()};
    } else if (pair[0].is_number()) {
      return fields.Fail(
          kName, fmt::format("has {}, which is not a token id from 0 to {}", Dump(pair[0]), last));
    }
    float amount = 0;
    const bool bans = pair[1] == false;
    if (tokens.empty() || (!bans && !ToFloat(pair[1], {-100, 100}, &amount))) {
      return fields.Fail(kName, form);
    }
    for (const int32_t token : tokens) {
      if (bans) {
        options.bans.sequences.push_back({token});
      } else {
        biases[token] = amount;
      }
    }
  }
  options.sampling.logit_bias.assign(biases.begin(), biases.end());
}

void ReadLogitBias(FieldReader& fields, const ReadContext& context, GenerationOptions& options) {
  constexpr char kName[] = "logit_bias";
  const size_t vocab = context.vocab();
  SamplingParams& sampling = options.sampling;
  const Json* const value = fields.Take(kName);
  if (value == nullptr) return;
  if (value->is_array()) return ReadBiasPairs(fields, *value, context, options);
  if (!value->is_object() || value->size() > kMaxBiases) {
    return fields.Fail(kName, fmt::format("must be an object of at most {} token ids, each with a "
                                          "number",
                                          kMaxBiases));
  }
  for (const auto& [key, bias] : value->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    // Only the shortest spelling counts: "07" and "7" would be two biases of one token.
    if (error != std::errc() || end != key.data() + key.size() || id < 0 ||
        static_cast<size_t>(id) >= vocab || fmt::to_string(id) != key) {
      return fields.Fail(
          kName, fmt::format("has {}, which is not a token id from 0 to {} in quotes", Quoted(key),
                             vocab - 1));
    }
    float amount = 0;
    if (bias == false) {  // as in llama-server's pairs
      options.bans.sequences.push_back({id});
    } else if (ToFloat(bias, {-100, 100}, &amount)) {
      sampling.logit_bias.emplace_back(id, amount);
    } else {
      return fields.Fail(kName,
                         fmt::format("gives {} a bias that is not a number from -100 to 100", id));
    }
  }
  std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
}

void ReadSeed(FieldReader& fields, GenerateRequest& request) {
  const Json* const value = fields.Take("seed");
  if (value == nullptr) return;
  if (!value->is_number_unsigned() && !IsIntegerIn(*value, INT64_MIN, INT64_MAX)) {
    return fields.Fail("seed", "must be an integer of 64 bits");
  }
  request.has_seed = true;
  // Clients that send -1 for any number are answered with the same -1.
  request.negative_seed = !value->is_number_unsigned() && value->get<int64_t>() < 0;
  request.options.sampling.seed = value->is_number_unsigned()
                                      ? value->get<uint64_t>()
                                      : static_cast<uint64_t>(value->get<int64_t>());
}

// vLLM's words, each with a space before it as well: that is how it stands in a text, unless the
// vocabulary puts the space there by itself.
void ReadBadWords(FieldReader& fields, const ReadContext& context, TokenBans& bans) {
  std::vector<std::string> words;
  ReadStop(fields, "bad_words", &words);
  for (const std::string& text : words) {
    const std::string word = text.substr(std::min(text.find_first_not_of(' '), text.size()));
    if (word.empty()) continue;
    const auto encode = [&context](const std::string& spelling) {
      return context.service.Encode(spelling, /*add_special=*/false, SpecialTokens::kAsText);
    };
    const std::vector<int32_t> plain = encode(word), spaced = encode(" " + word);
    bans.sequences.push_back(plain);
    if (spaced.size() == plain.size() && spaced != plain) bans.sequences.push_back(spaced);
  }
}

void ReadIds(FieldReader& fields, const char* name, size_t vocab, std::vector<int32_t>* ids) {
  const Json* const value = fields.Take(name);
  if (value == nullptr) return;
  if (!value->is_array() || value->size() > kMaxBiases) {
    return fields.Fail(name, fmt::format("must be a list of at most {} token ids", kMaxBiases));
  }
  auto read = ReadTokenIds(*value, vocab, name, name);
  if (!read) return fields.Fail(std::move(read.error()));
  *ids = *std::move(read);
}

// vLLM's fields of where an answer may end and which tokens it may have.
void ReadBans(FieldReader& fields, const ReadContext& context, GenerateRequest& request) {
  GenerationOptions& options = request.options;
  fields.Integer("min_tokens", 0, INT32_MAX, &options.bans.min_tokens);
  ReadIds(fields, "stop_token_ids", context.vocab(), &options.stop_ids);
  ReadIds(fields, "allowed_token_ids", context.vocab(), &options.bans.allowed);
  ReadBadWords(fields, context, options.bans);
  fields.Bool("include_stop_str_in_output", &request.include_stop);
}

// Whether a name that was sent is another, which Ollama's clients send with ":latest".
bool Is(std::string_view name, std::string_view other) {
  constexpr std::string_view kLatest = ":latest";
  return name == other ||
         (name.ends_with(kLatest) && name.substr(0, name.size() - kLatest.size()) == other);
}

bool IsOwnName(const ServedModel& model, std::string_view name) {
  return Is(name, model.name) || Is(name, model.title);
}

}  // namespace

void ReadStop(FieldReader& fields, std::string_view name, std::vector<std::string>* stop) {
  const Json* const value = fields.Take(name);
  if (value == nullptr) return;
  const auto is_stop = [](const Json& text) {
    if (!text.is_string()) return false;
    const size_t size = text.get_ref<const std::string&>().size();
    return size <= kMaxStopBytes;
  };
  const Json list = value->is_array() ? *value : Json::array({*value});
  if (list.size() > kMaxStops || !std::all_of(list.begin(), list.end(), is_stop)) {
    return fields.Fail(
        name, fmt::format("must be a string or at most {} strings, each of at most {} bytes",
                          kMaxStops, kMaxStopBytes));
  }
  for (const Json& text : list) stop->push_back(text.get<std::string>());
  // An empty text would be found at the beginning of every answer.
  std::erase(*stop, "");
}

bool IsModelName(const ServedModel& model, const ModelNames& names, std::string_view name) {
  // The last two are what clients of single-model servers send by custom.
  return !names.strict || IsOwnName(model, name) || Is(name, "dummy") || Is(name, "tgi") ||
         std::ranges::any_of(names.aliases,
                             [&](const auto& alias) { return alias == "*" || Is(name, alias); });
}

const ServedModel* ModelBeside(const GenerationService& service) {
  const EmbeddingService* const embeddings = service.embeddings();
  return embeddings == nullptr || service.model().encodes ? nullptr : &embeddings->model();
}

const ServedModel* FindModel(const GenerationService& service, const ModelNames& names,
                             std::string_view name) {
  const ServedModel* const beside = ModelBeside(service);
  if (beside != nullptr && IsOwnName(*beside, name) && !IsOwnName(service.model(), name)) {
    return beside;
  }
  return IsModelName(service.model(), names, name) ? &service.model() : nullptr;
}

Error NoSuchModel(const ServedModel& model, std::string_view name) {
  return {ErrorKind::kNotFound,
          fmt::format("there is no model {}; this server has {}, and answers to other names that "
                      "are given to it by --model-alias, or to any without --strict-model",
                      Quoted(name.substr(0, kMaxModelName)), Quoted(model.name)),
          "model"};
}

void ReadModel(FieldReader& fields, const ReadContext& context, std::string* name) {
  const ServedModel& served = context.service.model();
  *name = served.name;
  if (!fields.Text("model", name)) return;
  // The name stands in every event of a stream.
  if (name->size() > kMaxModelName) {
    fields.Fail("model", fmt::format("has more than {} bytes", kMaxModelName));
  } else if (const ServedModel* const model = FindModel(context.service, context.names, *name);
             model == nullptr) {
    fields.Fail(NoSuchModel(served, *name));
  } else if (model != &served) {
    fields.Fail("model", fmt::format("is {}, which {} and generates nothing: send {}, or none",
                                     Quoted(*name), WhatEncoderDoes(*model), Quoted(served.name)));
  }
}

void ReadEmbeddingModel(FieldReader& fields, const ReadContext& context, std::string* name) {
  const ServedModel& encoder = context.service.embeddings()->model();
  const bool alone = context.service.model().encodes;
  *name = encoder.name;
  if (!fields.Text("model", name)) return;
  if (name->size() > kMaxModelName) {
    return fields.Fail("model", fmt::format("has more than {} bytes", kMaxModelName));
  }
  if (IsOwnName(encoder, *name)) return;
  if (!alone && IsOwnName(context.service.model(), *name)) {
    return fields.Fail("model", fmt::format("is {}, which generates text and makes no vectors: "
                                            "send {}, or none",
                                            Quoted(*name), Quoted(encoder.name)));
  }
  if (!IsModelName(encoder, context.names, *name)) fields.Fail(NoSuchModel(encoder, *name));
}

void ReadModel(FieldReader& fields, const ReadContext& context) {
  std::string name;
  ReadModel(fields, context, &name);
}

void SetOpenDefaults(SamplingParams& sampling) {
  sampling.temperature = 1;
  sampling.top_k = 0;
  sampling.top_p = 1;
  sampling.min_p = 0;
}

void ReadSampling(FieldReader& fields, const ReadContext& context, GenerateRequest& request) {
  SamplingParams& sampling = request.options.sampling;
  // A dialect with another range has read it.
  if (!fields.IsRead("temperature")) fields.Float("temperature", {0, 100}, &sampling.temperature);
  if (fields.Integer("top_k", -1, INT32_MAX, &sampling.top_k)) {
    sampling.top_k = std::max(sampling.top_k, 0);
  }
  // A top_p that leaves nothing leaves the likeliest token.
  fields.Float("top_p", {0, 1}, &sampling.top_p);
  sampling.top_p = std::max(sampling.top_p, kLeastTopP);
  fields.Float("min_p", {0, 1}, &sampling.min_p);
  fields.Float("repetition_penalty", {0, 100, true}, &sampling.repetition_penalty);
  fields.Float("presence_penalty", {-2, 2}, &sampling.presence_penalty);
  fields.Float("frequency_penalty", {-2, 2}, &sampling.frequency_penalty);
  ReadOtherSamplers(fields, context.service, sampling);
  ReadLogitBias(fields, context, request.options);
  ReadBans(fields, context, request);
  ReadSeed(fields, request);
  ReadStop(fields, "stop", &request.options.stop);
  fields.Bool("ignore_eos", &request.options.ignore_eos);
  fields.Bool("stream", &request.stream);
  ReadCacheSalt(fields, request);
}

void ReadCacheSalt(FieldReader& fields, GenerateRequest& request) {
  if (fields.Text("cache_salt", &request.cache_salt) && request.cache_salt.size() > kMaxSalt) {
    fields.Fail("cache_salt", fmt::format("has more than {} bytes", kMaxSalt));
  }
}

Result<std::vector<int32_t>> ReadTokenIds(const Json& array, size_t vocab, std::string_view where,
                                          std::string_view param) {
  std::vector<int32_t> ids;
  ids.reserve(array.size());
  for (const Json& id : array) {
    if (!IsIntegerIn(id, 0, static_cast<int64_t>(vocab) - 1)) {
      return Fail(
          ErrorKind::kInvalidArgument,
          fmt::format("{}[{}] must be a token id from 0 to {}", where, ids.size(), vocab - 1),
          std::string(param));
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

}  // namespace lockstep
