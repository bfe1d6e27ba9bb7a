// Cuts text into words before byte-level BPE, by the patterns that a file's tokenizer.ggml.pre
// names. Immutable after Create; Split may be called from any thread.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

class Pretokenizer {
 public:
  // The error names `name` and lists the known names.
  [[nodiscard]] static Result<Pretokenizer> Create(std::string_view name);

  // Words that cover `text` from end to end, in order; any bytes are allowed. Views into `text`.
  std::vector<std::string_view> Split(std::string_view text) const;

  // A word that is a token is that token, whatever the merges say.
  bool whole_words_first() const { return whole_words_first_; }
  // What add_bos_token is if the file does not say.
  bool adds_bos() const { return adds_bos_; }
  // The model's tokenizer brings text to Unicode's form NFC before it cuts it.
  bool composes() const { return composes_; }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  };

  Pretokenizer() = default;
  void SplitBy(const pcre2_code* code, std::string_view piece, pcre2_match_data* match,
               std::vector<std::string_view>* pieces) const;

  std::vector<std::unique_ptr<pcre2_code, Free>> patterns_;  // each cuts what the last one left
  std::unique_ptr<pcre2_match_context, Free> limits_;
  bool whole_words_first_ = false;
  bool adds_bos_ = false;
  bool composes_ = false;
};

}  // namespace lockstep
