// Reads the fields of a JSON object from a client, one after the other by name: what nobody read is
// unknown, and refused or ignored in the end. null counts as absent, under any name. The first
// thing wrong is remembered, and nothing is read after it; every error names the field. Used by one
// thread; the object must outlive the reader.
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

// What becomes of names at the end of reading.
struct UnknownFields {
  UnknownFields(std::vector<std::string>* to_ignored, std::set<std::string>* to_known = nullptr)
      : ignored(to_ignored), known(to_known) {}
  std::vector<std::string>* ignored;  // gets those that no one read; where null, one is an error
  std::set<std::string>* known;       // gets those that were asked for, unless it is null
};

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

  // An object with a reader of its own: `read` takes the fields of `value`, which is called `name`
  // here, and `what` says what it must be. True if it is well.
  template <class Read>
  bool Nested(const Json& value, std::string_view name, std::string_view what,
              const UnknownFields& unknown, const Read& read) {
    if (!ok()) return false;
    if (!value.is_object()) {
      Fail(name, what);
      return false;
    }
    FieldReader inner(value, Full(name) + ".");
    read(inner);
    if (Status status = inner.Finish(unknown); !status) Fail(std::move(status.error()));
    return ok();
  }
  // Reads the field of that name as Nested does; false if it is absent.
  template <class Read>
  bool Object(std::string_view name, std::string_view what, const UnknownFields& unknown,
              const Read& read) {
    const Json* const value = Take(name);
    return value != nullptr && Nested(*value, name, what, unknown, read);
  }

  // Takes the field where it has this value, which asks for nothing. With any other it is one that
  // no one reads.
  void TakeIf(std::string_view name, const Json& value);

  // The field, if it is there, is one that we know and cannot do.
  void Refuse(std::string_view name, std::string_view why);
  // `message` follows the field's full name and a space.
  void Fail(std::string_view name, std::string_view message);
  void Fail(Error error);
  bool ok() const { return status_.has_value(); }
  const Error& error() const { return status_.error(); }  // REQUIRES: not ok()
  bool IsRead(std::string_view name) const { return read_.contains(name); }
  bool Has(std::string_view name) { return Take(name) != nullptr; }
  std::string Full(std::string_view name) const { return prefix_ + std::string(name); }

  // The first thing that was wrong, a name that no one read among them.
  [[nodiscard]] Status Finish(const UnknownFields& unknown);

 private:
  // The field, if it has this type; else an error that says what it must be.
  template <class T>
  bool Read(std::string_view name, Json::value_t type, std::string_view what, T* out);

  const Json& object_;
  const std::string prefix_;
  std::set<std::string, std::less<>> read_;
  Status status_;
};

}  // namespace lockstep
