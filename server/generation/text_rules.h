// Rules of GBNF for texts that end where a word begins. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// Rules NAME0, NAME1, ...: any text in which `word` does not occur, then the word, then what the
// body `then` says. With `may_end`, the text may also end without the word.
std::string TextUntil(std::string_view name, std::string_view word, std::string_view then,
                      bool may_end);
// Rule NAME0: any text that does not begin with `word`.
std::string TextNotBeginningWith(std::string_view name, std::string_view word);

}  // namespace lockstep
