// The automaton of Knuth, Morris and Pratt, written down as rules: NAMEi is the text of which the
// last i characters are the first i of the word.
#include "server/generation/text_rules.h"

#include <fmt/format.h>

#include <vector>

#include "core/base/utf8.h"
#include "core/grammar/grammar.h"

namespace lockstep {
namespace {

std::vector<std::string> Characters(std::string_view text) {
  std::vector<std::string> characters;
  for (; !text.empty(); text.remove_prefix(CharacterLength(text))) {
    characters.emplace_back(text.substr(0, CharacterLength(text)));
  }
  return characters;
}

std::string ClassChar(const std::string& character) {
  return GbnfClassChar(FirstCodePoint(character));
}

// How much of the word's beginning ends the text of its first `matched` characters and then `next`.
size_t Longest(const std::vector<std::string>& word, size_t matched, const std::string& next) {
  for (size_t size = matched + 1; size > 0; --size) {
    if (word[size - 1] != next) continue;
    bool same = true;
    for (size_t i = 0; i + 1 < size && same; ++i) same = word[i] == word[matched + 1 - size + i];
    if (same) return size;
  }
  return 0;
}

}  // namespace

std::string TextUntil(std::string_view name, std::string_view word, std::string_view then,
                      bool may_end) {
  const std::vector<std::string> characters = Characters(word);
  std::vector<std::string> distinct;
  for (const std::string& character : characters) {
    bool known = false;
    for (const std::string& other : distinct) known = known || other == character;
    if (!known) distinct.push_back(character);
  }
  std::string rules;
  for (size_t i = 0; i < characters.size(); ++i) {
    std::string others, moves;
    for (const std::string& character : distinct) {
      const size_t next = Longest(characters, i, character);
      if (next == 0) continue;
      others += ClassChar(character);
      moves += fmt::format(
          " | {} {}", GbnfLiteral(character),
          next == characters.size() ? fmt::format("({})", then) : fmt::format("{}{}", name, next));
    }
    rules +=
        fmt::format("{0}{1} ::= ([^{2}] {0}0{3}){4}\n", name, i, others, moves, may_end ? "?" : "");
  }
  return rules;
}

std::string TextNotBeginningWith(std::string_view name, std::string_view word) {
  const std::vector<std::string> characters = Characters(word);
  std::string rules;
  for (size_t i = 0; i < characters.size(); ++i) {
    rules += fmt::format("{0}{1} ::= ([^{2}] {0}any", name, i, ClassChar(characters[i]));
    if (i + 1 < characters.size()) {
      rules += fmt::format(" | {} {}{}", GbnfLiteral(characters[i]), name, i + 1);
    }
    rules += ")?\n";
  }
  return rules + fmt::format("{}any ::= [^\\x00]*\n", name);
}

}  // namespace lockstep
