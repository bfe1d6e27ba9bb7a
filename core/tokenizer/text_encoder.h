// One algorithm that cuts ordinary text into tokens of one vocabulary, which must outlive it.
// Immutable after construction, so safe to share between threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  // Appends the ids of `text`, any bytes, that stands at the front or after a special token.
  // REQUIRES: text.size() < 2^29.
  virtual void Encode(std::string_view text, std::vector<int32_t>* ids) const = 0;
  // Whether Encode puts a space in front of its text, which decoding takes away again.
  virtual bool adds_space() const { return false; }
  // The bytes that a normal token with this text stands for.
  virtual std::string Bytes(std::string_view text) const = 0;
  // What the vocabulary cannot express, in a sentence for the log; mostly nothing.
  virtual std::string warning() const { return {}; }
};

}  // namespace lockstep
