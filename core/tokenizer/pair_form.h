// The form in which two texts are one to a model that scores how well the second answers the first.
// A value; immutable once loaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/base/trusted_text.h"
#include "core/gguf/gguf_file.h"
#include "core/tokenizer/vocabulary.h"

namespace lockstep {

// What is known of pairs by the kind of the tokenizer alone.
enum class PairStyle {
  kOpen,       // nothing: the file and the pre-tokenizer say it
  kBert,       // one separator, and the second text's tokens are of a type of their own
  kXlmRoberta  // two separators
};

struct PairForm {
  // Errors are kBadFile and name the key.
  [[nodiscard]] static Result<PairForm> Load(const GgufFile& file, const Vocabulary& vocabulary,
                                             PairStyle style);

  // The template with both texts in it, of which only what is its own is trusted.
  TrustedText Fill(std::string_view query, std::string_view document) const;

  std::string text;          // the template, with "{query}" and "{document}"; empty: none
  int32_t separator = -1;    // between the texts, where there is no template; -1: nothing
  bool twice = false;        // the separator
  bool second_type = false;  // the second text's tokens are of a type of their own
};

}  // namespace lockstep
