// From the syntax of rules to a Grammar. Used by the parser of one text, by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/grammar/grammar.h"
#include "core/grammar/utf8_ranges.h"
#include "core/grammar/work_meter.h"

namespace lockstep {

// What stands on the right of a rule. `items` are its parts. They are nested as deeply as
// parentheses and repetitions of repetitions are, which whoever makes them has to bound: compiling
// and freeing go down to each part.
struct GrammarNode {
  enum class Kind {
    kLiteral,   // bytes
    kClass,     // one character of ranges
    kRule,      // a call
    kSequence,  // all items
    kChoice,    // one of items
    kRepeat,    // items[0], min to max times
  };
  static constexpr uint32_t kUnlimited = UINT32_MAX;

  Kind kind = Kind::kSequence;
  std::string bytes;
  std::vector<CodeRange> ranges;
  uint32_t rule = 0;
  uint32_t min = 0, max = 0;
  uint32_t height = 0;  // the longest way down through items
  std::vector<GrammarNode> items;
};

class GrammarCompiler {
 public:
  // `names` and `rules` are of the same length; `root` is one of them. Errors are kInvalidArgument
  // and name the rule, or they are the meter's, which may be null.
  [[nodiscard]] static Result<std::shared_ptr<const Grammar>> Compile(
      const std::vector<std::string>& names, const std::vector<GrammarNode>& rules, uint32_t root,
      WorkMeter* meter);

 private:
  using Kind = Grammar::Kind;
  using State = Grammar::State;

  explicit GrammarCompiler(WorkMeter* meter) : meter_(meter) {}
  // Emits all rules; then what is known only of all states is found.
  [[nodiscard]] Status EmitRules();
  [[nodiscard]] Status Analyse(const std::vector<std::string>& names);

  // Each returns the state that matches the node and then goes on at `next`.
  uint32_t Emit(const GrammarNode& node, uint32_t next);
  uint32_t EmitClass(const std::vector<CodeRange>& ranges, uint32_t next);
  uint32_t EmitRepeat(const GrammarNode& node, uint32_t next);
  uint32_t EmitChoice(const std::vector<GrammarNode>& items, uint32_t next);
  [[nodiscard]] Status Pay(uint64_t units_a_state);
  // Why there are not all states, where full_ says so.
  tl::unexpected<Error> WhyFull() const;
  // A new state, or the equal one that there is.
  uint32_t Add(const State& state);
  uint32_t AddNew(const State& state);
  uint32_t AddRepeat(uint32_t rule, Grammar::Repeat bounds, uint32_t next);
  uint32_t AddSplit(uint32_t next, uint32_t other);
  uint32_t AddRule(const GrammarNode& node);

  void MarkNullable();
  // Writes down each repetition of what may match nothing as that many calls.
  void UnrollNullable();
  bool MayPass(const State& state) const;  // a kRepeat of none?
  void RemoveDead();
  // What is true of which states, where it follows from what is true of those that come after.
  template <class Holds>
  std::vector<uint8_t> Fixpoint(const Holds& holds) const;
  // The rule that calls itself before it has matched a byte, or rules() if there is none.
  uint32_t OrderRules();
  std::vector<uint32_t> LeftCalls(uint32_t rule) const;
  void FindClasses();

  struct StateHash {
    size_t operator()(const State& state) const;
  };
  struct SameState {
    bool operator()(const State& a, const State& b) const;
  };

  WorkMeter* const meter_;
  std::shared_ptr<Grammar> grammar_ = std::make_shared<Grammar>();
  std::unordered_map<State, uint32_t, StateHash, SameState> known_;  // by Add
  std::vector<uint8_t> nullable_;                                    // [states]
  // Repeated parts whose rules are yet to be emitted, and the numbers of those rules.
  std::vector<const GrammarNode*> pending_;
  std::vector<uint32_t> pending_rules_;
  mutable std::vector<uint8_t> seen_;  // [states] scratch of LeftCalls
  bool full_ = false;  // no state is added any more: there are too many, or the meter has ended
};

}  // namespace lockstep
