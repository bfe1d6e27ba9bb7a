// A regular language: the texts that a deterministic finite automaton over code points accepts.
// What several keywords say about one text (pattern, format, lengths, names that are taken) is the
// intersection of their languages, and an intersection of automata is one again; of grammars it is
// not. An immutable value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/grammar/utf8_ranges.h"
#include "core/grammar/work_meter.h"
#include "server/schema/json_rules.h"

namespace lockstep {

// GBNF for any of `chars` as a JSON string has them: with the shortest escape where there must be
// one.
std::string CharsToGbnf(const std::vector<CodeRange>& chars);
// GBNF for any of `chars` as they are, for texts without quotes and escapes.
std::string BareCharsToGbnf(const std::vector<CodeRange>& chars);
using CharsWriter = std::string (*)(const std::vector<CodeRange>& chars);

class Language {
 public:
  // What a client sends may need any number of states: beyond these it is kInvalidArgument.
  static constexpr size_t kMaxStates = size_t{1} << 14;
  static constexpr size_t kMaxEdges = size_t{1} << 17;

  struct Edge {
    CodeRange chars;
    uint32_t to;
  };
  struct State {
    bool accepts = false;
    std::vector<Edge> edges;  // sorted by their characters, which do not overlap
  };

  // The automaton starts in the first of `states`; without any, the language is empty.
  explicit Language(std::vector<State> states);

  static Language Any();  // all texts
  static Language Words(std::vector<std::string> words);

  // And is the intersection, of up to m times n states for languages of m and n. Not is the
  // complement among all texts, with one state more. Errors may be the meter's, too.
  [[nodiscard]] Result<Language> And(const Language& other, WorkMeter* meter = nullptr) const;
  Language Not() const;
  // The language of those of its texts that have `min` to `max` characters.
  [[nodiscard]] Result<Language> WithLength(size_t min, std::optional<size_t> max,
                                            WorkMeter* meter = nullptr) const;

  // The least and the largest number of characters; no largest if there is none. {1, 0} if empty.
  std::pair<size_t, std::optional<size_t>> Lengths() const;

  bool Contains(std::string_view text) const;
  bool empty() const { return states_.empty(); }
  size_t states() const { return states_.size(); }

  // A rule for the language's texts, its characters written as `write_chars` does.
  // REQUIRES: the language is not empty.
  std::string Define(JsonRules* rules, CharsWriter write_chars = CharsToGbnf) const;

 private:
  void RemoveDead();

  std::vector<State> states_;
};

// The characters that both have.
std::vector<CodeRange> Intersection(const std::vector<CodeRange>& a,
                                    const std::vector<CodeRange>& b);

}  // namespace lockstep
