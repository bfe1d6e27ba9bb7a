// Reading is by name and not by walking over the object, so that a reader's code reads like the
// list of fields that its request has; the names that were asked for are remembered for Finish.
#include "server/json/field_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/base/nearest.h"
#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr double kMaxExact = 9007199254740992;  // beyond, not every integer is a double

}  // namespace

bool IsIntegerIn(const Json& value, int64_t low, int64_t high) {
  // JSON has one kind of number: some clients write all of theirs with a fraction.
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    return std::abs(number) <= kMaxExact && std::trunc(number) == number &&
           number >= static_cast<double>(low) && number <= static_cast<double>(high);
  }
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return false;
  }
  return value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

bool ToFloat(const Json& value, const FloatRange& range, float* out) {
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (!(number >= range.low && number <= range.high)) return false;
  if (range.above_low && number == range.low) return false;
  *out = static_cast<float>(number);
  if (range.above_low && *out == 0) *out = std::numeric_limits<float>::min();
  return true;
}

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

template <class T>
bool FieldReader::Read(std::string_view name, Json::value_t type, std::string_view what, T* out) {
  const Json* const value = Take(name);
  if (value == nullptr) return false;
  if (value->type() == type) {
    *out = value->get<T>();
    return true;
  }
  Fail(name, what);
  return false;
}

bool FieldReader::Bool(std::string_view name, bool* out) {
  return Read(name, Json::value_t::boolean, "must be true or false", out);
}

bool FieldReader::Text(std::string_view name, std::string* out) {
  return Read(name, Json::value_t::string, "must be a string", out);
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

void FieldReader::TakeIf(std::string_view name, const Json& value) {
  if (const auto field = object_.find(name); field != object_.end() && *field == value) Take(name);
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

Status FieldReader::Finish(const UnknownFields& unknown) {
  if (unknown.known != nullptr) {
    for (const std::string& name : read_) unknown.known->insert(Full(name));
  }
  for (const auto& [name, value] : object_.items()) {
    if (!ok()) break;
    if (value.is_null() || read_.contains(name)) continue;
    if (unknown.ignored != nullptr) {
      unknown.ignored->push_back(Full(name));
      continue;
    }
    const std::string near = Nearest(name, {read_.begin(), read_.end()});
    Fail({ErrorKind::kInvalidArgument,
          fmt::format("unknown field {}{}: leave it out; the routes of other servers' APIs ignore "
                      "it, unless this one was started with --strict",
                      Quoted(Full(name)),
                      near.empty() ? "" : fmt::format(" (did you mean {}?)", Quoted(near))),
          Full(name).substr(0, 64)});
  }
  return status_;
}

}  // namespace lockstep
