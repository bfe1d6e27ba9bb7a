// Reads the fields of a JSON object from a client, one after the other by name: what nobody read is
// unknown, and refused or ignored in the end. null counts as absent. The first thing wrong is
// remembered, and nothing is read after it; every refusal names the field. Used by one thread; the
// object must outlive the reader.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "server/json/json_text.h"

namespace lockstep {

struct FloatRange {
  double low, high;
  bool above_low = false;  // low itself is refused
};

bool IsIntegerIn(const Json& value, int64_t low, int64_t high);
// What a float cannot tell from 0 counts as the least positive one, where 0 is refused.
bool ToFloat(const Json& value, const FloatRange& range, float* out);

class FieldReader {
 public:
  // `prefix` comes before the names in messages: "messages[2]." of an object within another.
  explicit FieldReader(const Json& object, std::string prefix = {})
      : object_(object), prefix_(std::move(prefix)) {}

  // The value, for what has a reading of its own; nullptr where it is absent.
  const Json* Take(std::string_view name);
  // Each leaves *out as it is where the field is absent. True if it was there and is well.
  bool Float(std::string_view name, const FloatRange& range, float* out);
  bool Bool(std::string_view name, bool* out);
  bool Text(std::string_view name, std::string* out);
  template <class T>
  bool Integer(std::string_view name, int64_t low, int64_t high, T* out) {
    int64_t value = 0;
    if (!Integer(name, low, high, &value)) return false;
    *out = static_cast<T>(value);
    return true;
  }
  bool Integer(std::string_view name, int64_t low, int64_t high, int64_t* out);

  // The field may be there as null.
  void SkipNull(std::string_view name);
  // The field, if it is there, is one that we know and cannot do.
  void Refuse(std::string_view name, std::string_view why);
  // `message` follows the field's full name and a space.
  void Fail(std::string_view name, std::string_view message);
  void Fail(Error error);
  bool ok() const { return status_.has_value(); }
  const Error& error() const { return status_.error(); }  // REQUIRES: not ok()
  bool IsRead(std::string_view name) const { return read_.contains(name); }
  // The name with its prefix.
  std::string Full(std::string_view name) const { return prefix_ + std::string(name); }

  // Puts the names that no one read into *ignored; where that is nullptr, one is an error.
  [[nodiscard]] Status Finish(std::vector<std::string>* ignored);

 private:
  const Json& object_;
  const std::string prefix_;
  std::set<std::string, std::less<>> read_;
  Status status_;
};

}  // namespace lockstep
