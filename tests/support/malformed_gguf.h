// Malformed model files as a table: what is wrong, how to write it, what the error has to name. The
// numbers are those of the project's list of 82 kinds; a number may have several rows.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/support/gguf_builder.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {

struct MalformedCase {
  int number;
  const char* what;
  std::function<void(const TempFile&)> make;  // writes the file
  std::vector<std::string> message;           // parts of the error; empty: the file must load
};

// All rows, by number.
std::vector<MalformedCase> MalformedGgufCases();

// What the rows spoil: a very small model, and the same with a byte-level BPE tokenizer.
TinyModelOptions MalformedBase();
void UseByteLevelBpe(GgufBuilder& builder);

}  // namespace lockstep
