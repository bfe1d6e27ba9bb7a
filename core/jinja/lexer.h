// Splits a template into its text and the tokens of its tags, with whitespace already trimmed the
// way trim_blocks and lstrip_blocks ask for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::jinja {

struct Token {
  enum class Kind {
    kText,           // outside all tags
    kVariableBegin,  // `text` is the sign, such as {{
    kVariableEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,   // `text` is what it stands for, escapes resolved
    kInteger,  // `text` is its decimal digits
    kFloat,
    kOperator,
    kEnd,  // the end of the template
  };
  Kind kind;
  std::string text;
  int line;
  // kFloat's value. An integer may have any size, and is left to TemplateValue::Integer.
  double real = 0;
};

// Throws Failure. The last token is kEnd. REQUIRES: `source` is UTF-8.
std::vector<Token> Tokenize(std::string_view source);

}  // namespace lockstep::jinja
