// White space beside special tokens that is no text, as the tokenizers have it with which models
// were published. A value; immutable once loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

struct Stripping {
  // Errors are kBadFile and name the key.
  [[nodiscard]] static Result<Stripping> Load(const GgufFile& file, const Vocabulary& vocabulary);

  // What is left of the text before the token `id`, and of the text behind it.
  std::string_view Before(int32_t id, std::string_view text) const;
  std::string_view After(int32_t id, std::string_view text) const;

  std::vector<bool> after;  // [vocab] none is text behind the token
  int32_t mask = -1;        // none is text before this one; -1: before any
};

}  // namespace lockstep
