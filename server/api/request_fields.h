// Reads the fields of a JSON object from a client, one after the other by name: what nobody read is
// unknown, and refused or ignored in the end. null counts as absent. The first thing wrong is
// remembered, and nothing is read after it; every refusal names the field. Used by one thread; the
// object must outlive the reader.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"
#include "server/json/json_text.h"

namespace lockstep {

inline constexpr size_t kMaxStops = 4, kMaxStopBytes = 256;
inline constexpr size_t kMaxBiases = 1024;
inline constexpr size_t kMaxAnswers = 8;   // to one prompt: n, best_of
inline constexpr size_t kMaxPrompts = 32;  // of one request
inline constexpr size_t kMaxAnswersInAll = 64;
inline constexpr int64_t kMaxLogprobs = 20;

// What reading a request takes besides its body, and what becomes known on the way.
struct ReadContext {
  const GenerationService& service;
  const std::vector<std::string>& model_aliases;
  bool lenient = false;              // unknown fields are ignored
  std::vector<std::string> ignored;  // these, by name

  size_t vocab() const { return service.model().vocab; }
};

struct FloatRange {
  double low, high;
  bool above_low = false;  // low itself is refused
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

  // Deals with the names that no one read.
  [[nodiscard]] Status Finish(ReadContext& context);

 private:
  const Json& object_;
  const std::string prefix_;
  std::set<std::string, std::less<>> read_;
  Status status_;
};

// What the dialects have in common, under the names that most of them use: temperature, top_k,
// top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty, logit_bias, seed, stop,
// ignore_eos and stream.
void ReadSampling(FieldReader& fields, size_t vocab, GenerateRequest& request);
// Of an array, each an integer from 0 to vocab - 1. `where` is the array's name, in messages.
[[nodiscard]] Result<std::vector<int32_t>> ReadTokenIds(const Json& array, size_t vocab,
                                                        std::string_view where,
                                                        std::string_view param);

}  // namespace lockstep
