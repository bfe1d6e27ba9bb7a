#include "server/api/request_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

bool IsIntegerIn(const Json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return false;
  }
  return value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

// What a float cannot tell from 0 counts as the least positive one, where 0 is refused.
bool ToFloat(const Json& value, const FloatRange& range, float* out) {
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (!(number >= range.low && number <= range.high)) return false;
  if (range.above_low && number == range.low) return false;
  *out = static_cast<float>(number);
  if (range.above_low && *out == 0) *out = std::numeric_limits<float>::min();
  return true;
}

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
  if (!value->is_number_integer()) return fields.Fail("seed", "must be an integer of 64 bits");
  request.has_seed = true;
  request.negative_seed = !value->is_number_unsigned();
  request.params.sampling.seed =
      request.negative_seed ? static_cast<uint64_t>(value->get<int64_t>()) : value->get<uint64_t>();
}

void ReadStop(FieldReader& fields, std::vector<std::string>* stop) {
  const Json* const value = fields.Take("stop");
  if (value == nullptr) return;
  const auto is_stop = [](const Json& text) {
    if (!text.is_string()) return false;
    const size_t size = text.get_ref<const std::string&>().size();
    return size >= 1 && size <= kMaxStopBytes;
  };
  const Json list = value->is_array() ? *value : Json::array({*value});
  if (list.size() > kMaxStops || !std::all_of(list.begin(), list.end(), is_stop)) {
    return fields.Fail("stop",
                       fmt::format("must be a string or at most {} strings, each of 1 to {} bytes",
                                   kMaxStops, kMaxStopBytes));
  }
  *stop = list.get<std::vector<std::string>>();
}

}  // namespace

const Json* FieldReader::Take(std::string_view name) {
  read_.emplace(name);
  if (!ok()) return nullptr;
  const auto field = object_.find(name);
  return field == object_.end() || field->is_null() ? nullptr : &*field;
}

bool FieldReader::Float(std::string_view name, const FloatRange& range, float* out) {
  const Json* const value = Take(name);
  if (value == nullptr) return false;
  if (ToFloat(*value, range, out)) return true;
  Fail(name, fmt::format("must be a number {} {:g}, at most {:g}",
                         range.above_low ? "above" : "of at least", range.low, range.high));
  return false;
}

bool FieldReader::Bool(std::string_view name, bool* out) {
  const Json* const value = Take(name);
  if (value == nullptr) return false;
  if (value->is_boolean()) {
    *out = value->get<bool>();
    return true;
  }
  Fail(name, "must be true or false");
  return false;
}

bool FieldReader::Text(std::string_view name, std::string* out) {
  const Json* const value = Take(name);
  if (value == nullptr) return false;
  if (value->is_string()) {
    *out = value->get<std::string>();
    return true;
  }
  Fail(name, "must be a string");
  return false;
}

bool FieldReader::Integer(std::string_view name, int64_t low, int64_t high, int64_t* out) {
  const Json* const value = Take(name);
  if (value == nullptr) return false;
  if (IsIntegerIn(*value, low, high)) {
    *out = value->get<int64_t>();
    return true;
  }
  Fail(name, fmt::format("must be an integer from {} to {}", low, high));
  return false;
}

void FieldReader::SkipNull(std::string_view name) {
  const auto field = object_.find(name);
  if (field != object_.end() && field->is_null()) read_.emplace(name);
}

void FieldReader::Refuse(std::string_view name, std::string_view why) {
  if (Take(name) != nullptr) Fail(name, why);
}

void FieldReader::Fail(std::string_view name, std::string_view message) {
  const std::string full = Full(name);
  Fail({ErrorKind::kInvalidArgument, fmt::format("{} {}", full, message), full});
}

void FieldReader::Fail(Error error) {
  if (ok()) status_ = tl::unexpected(std::move(error));
}

Status FieldReader::Finish(ReadContext& context) {
  for (const auto& [name, value] : object_.items()) {
    if (!ok()) break;
    if (read_.contains(name)) continue;
    if (context.lenient) {
      context.ignored.push_back(Full(name));
      continue;
    }
    Fail({ErrorKind::kInvalidArgument, fmt::format("unknown field {}", Quoted(Full(name))),
          Full(name).substr(0, 64)});
  }
  return status_;
}

void ReadSampling(FieldReader& fields, size_t vocab, GenerateRequest& request) {
  SamplingParams& sampling = request.params.sampling;
  fields.Float("temperature", {0, 100}, &sampling.temperature);
  fields.Integer("top_k", 0, INT32_MAX, &sampling.top_k);
  fields.Float("top_p", {0, 1, true}, &sampling.top_p);
  fields.Float("min_p", {0, 1}, &sampling.min_p);
  fields.Float("repetition_penalty", {0, 100, true}, &sampling.repetition_penalty);
  fields.Float("presence_penalty", {-2, 2}, &sampling.presence_penalty);
  fields.Float("frequency_penalty", {-2, 2}, &sampling.frequency_penalty);
  ReadLogitBias(fields, vocab, sampling);
  ReadSeed(fields, request);
  ReadStop(fields, &request.params.stop);
  fields.Bool("ignore_eos", &request.params.ignore_eos);
  fields.Bool("stream", &request.stream);
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
