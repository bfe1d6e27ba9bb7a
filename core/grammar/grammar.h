// A grammar for generated text, over the bytes of UTF-8: rules that may call each other, each a
// nondeterministic automaton. Immutable once made and shared between requests and threads.
//
//   rules and their states lie in one array; rule r is entered at start(r), and left at a kAccept
//   kByte    one byte of [low, high], then next
//   kSplit   next or other, at will
//   kCall    the rule `other`, then next
//   kRepeat  the rule `other`, as many times as repeat() says, then next; how many times it was is
//            no matter of states but counted by the automaton, so that {0,10000} is one state
//   kAccept  the end of the rule: goes on after the call that led here
//   kDead    leads nowhere
//
// No rule can reach itself before it has matched a byte (left recursion is refused), so of the
// rules that begin at one place in the text, callers can be dealt with before what they call.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/grammar/work_meter.h"

namespace lockstep {

class Grammar {
 public:
  enum class Kind : uint8_t { kByte, kSplit, kCall, kRepeat, kAccept, kDead };
  struct State {
    Kind kind;
    uint8_t low = 0, high = 0;
    bool nullable = false;  // kCall: the rule may match nothing
    uint32_t next = 0;
    uint32_t other = 0;
    uint32_t repeat = 0;  // kRepeat: which of the grammar's repetitions
  };
  // How often the rule of a kRepeat may follow itself. Never one that may match nothing: each time
  // takes at least a byte.
  struct Repeat {
    uint32_t min, max;
  };
  // No token has more bytes: what differs only beyond so many has the same mask.
  static constexpr size_t kReach = 256;

  const State& state(uint32_t i) const { return states_[i]; }
  size_t states() const { return states_.size(); }
  // REQUIRES: the state is a kRepeat.
  const Repeat& repeat(const State& state) const { return repeats_[state.repeat]; }
  size_t rules() const { return starts_.size(); }
  uint32_t root() const { return root_; }
  uint32_t start(uint32_t rule) const { return starts_[rule]; }
  // Smaller for callers than for what they call before they have matched a byte.
  uint32_t order(uint32_t rule) const { return order_[rule]; }
  uint32_t rule_at(uint32_t order) const { return by_order_[order]; }

  // Bytes of one class are alike everywhere in the grammar.
  size_t classes() const { return representative_.size(); }
  uint8_t byte_class(uint8_t byte) const { return class_[byte]; }
  uint8_t representative(size_t byte_class) const { return representative_[byte_class]; }

  size_t bytes() const;  // of memory

 private:
  friend class GrammarCompiler;
  std::vector<State> states_;
  std::vector<Repeat> repeats_;
  std::vector<uint32_t> starts_;            // [rules]
  std::vector<uint32_t> order_, by_order_;  // [rules]
  uint32_t root_ = 0;
  std::array<uint8_t, 256> class_{};
  std::vector<uint8_t> representative_;  // [classes]
};

inline constexpr size_t kMaxGrammarBytes = size_t{1} << 20;  // of text
inline constexpr size_t kMaxGrammarStates = size_t{1} << 18;
inline constexpr size_t kMaxGrammarRules = size_t{1} << 16;
inline constexpr size_t kMaxGrammarNesting = 100;  // of parentheses

// llama.cpp's GBNF, as its documentation has it:
//   name ::= "text" [a-z] [^\n] . ( ... ) other-rule | alternative   # comment
// with * + ? {m} {m,} {m,n} after any of these, and the escapes \n \r \t \\ \" \[ \] \xHH \uHHHH
// \UHHHHHHHH. The rule "root" is the text. Errors are kInvalidArgument and name the line: besides
// mistakes, left recursion, references to tokens (<think>, <[7]>) and what goes beyond the limits.
// An error of the meter's is passed on as it is.
[[nodiscard]] Result<std::shared_ptr<const Grammar>> ParseGbnf(std::string_view text,
                                                               std::string_view root = "root",
                                                               WorkMeter* meter = nullptr);

// `text` (UTF-8) as a literal of GBNF, quotes included.
std::string GbnfLiteral(std::string_view text);
// A code point as it may stand in a class of GBNF.
std::string GbnfClassChar(uint32_t code_point);

}  // namespace lockstep
