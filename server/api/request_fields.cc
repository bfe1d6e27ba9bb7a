// The fields that mean the same in every dialect, read once for all of them.
#include "server/api/request_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr size_t kMaxSalt = 256;  // bytes: more tell nobody apart

void ReadLogitBias(FieldReader& fields, size_t vocab, SamplingParams& sampling) {
  constexpr char kName[] = "logit_bias";
  const Json* const value = fields.Take(kName);
  if (value == nullptr) return;
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
    if (!ToFloat(bias, {-100, 100}, &amount)) {
      return fields.Fail(kName,
                         fmt::format("gives {} a bias that is not a number from -100 to 100", id));
    }
    sampling.logit_bias.emplace_back(id, amount);
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
  constexpr std::string_view kLatest = ":latest";
  if (!names.strict) return true;
  const auto is = [&](std::string_view other) {
    return name == other ||
           (name.ends_with(kLatest) && name.substr(0, name.size() - kLatest.size()) == other);
  };
  // The last two are what clients of single-model servers send by custom.
  return is(model.name) || is(model.title) || is("dummy") || is("tgi") ||
         std::ranges::any_of(names.aliases,
                             [&](const auto& alias) { return alias == "*" || is(alias); });
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
  } else if (!IsModelName(served, context.names, *name)) {
    fields.Fail(NoSuchModel(served, *name));
  }
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

void ReadSampling(FieldReader& fields, size_t vocab, GenerateRequest& request) {
  SamplingParams& sampling = request.options.sampling;
  fields.Float("temperature", {0, 100}, &sampling.temperature);
  if (fields.Integer("top_k", -1, INT32_MAX, &sampling.top_k)) {
    sampling.top_k = std::max(sampling.top_k, 0);
  }
  fields.Float("top_p", {0, 1, true}, &sampling.top_p);
  fields.Float("min_p", {0, 1}, &sampling.min_p);
  fields.Float("repetition_penalty", {0, 100, true}, &sampling.repetition_penalty);
  fields.Float("presence_penalty", {-2, 2}, &sampling.presence_penalty);
  fields.Float("frequency_penalty", {-2, 2}, &sampling.frequency_penalty);
  ReadLogitBias(fields, vocab, sampling);
  ReadSeed(fields, request);
  ReadStop(fields, "stop", &request.options.stop);
  fields.Bool("ignore_eos", &request.options.ignore_eos);
  fields.Bool("stream", &request.stream);
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
