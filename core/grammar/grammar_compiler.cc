// Thompson's construction ("Regular Expression Search Algorithm", CACM 1968), from the end to the
// beginning: Emit(node, next) makes the states that match the node and go on at `next`, and returns
// where they begin, so that no jump is ever patched but the one that closes a loop. The rule
//   root ::= "ab" | [c]*
// becomes, in the order in which the states are made:
//
//   0 kAccept
//   1 kSplit  2 or 0     the loop
//   2 kByte   'c', 1
//   3 kByte   'b', 0
//   4 kByte   'a', 3
//   5 kSplit  4 or 1     where the rule starts
//
// Equal states are one (hash-consing, as for minimal acyclic automata): alternatives with a common
// end share it, and what a client writes 60,000 times over costs no more than once. A repeated part
// that is more than a call becomes a rule of its own, which x{3} calls three times; x{1000} is one
// kRepeat, a state and a count, unless x may match nothing.
//
// No recursion follows what a client wrote but Emit's, down a tree whose height the parser bounds.
#include "core/grammar/grammar_compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace lockstep {

using Node = GrammarNode;

namespace {

// Repetitions of up to so many are written down as often; others are counted. Both cost a frame of
// the automaton for each time, a count costs a few instructions more and no states.
constexpr uint32_t kMaxCopies = 4;

// What it costs to make a state, in units of WorkMeter.
constexpr uint64_t kStateCost = 32;

}  // namespace

size_t GrammarCompiler::StateHash::operator()(const State& state) const {
  const uint64_t way = uint64_t{state.next} << 32 | state.other;
  const uint64_t what = static_cast<uint64_t>(state.kind) << 16 | state.low << 8 | state.high;
  return (way ^ what * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu >> 16;
}

bool GrammarCompiler::SameState::operator()(const State& a, const State& b) const {
  return a.kind == b.kind && a.low == b.low && a.high == b.high && a.next == b.next &&
         a.other == b.other;
}

// Two states that do the same and go on at the same state are interchangeable.
uint32_t GrammarCompiler::Add(const State& state) {
  const auto [known, is_new] = known_.try_emplace(state, 0);
  if (is_new) known->second = AddNew(state);
  return known->second;
}

uint32_t GrammarCompiler::AddNew(const State& state) {
  std::vector<State>& states = grammar_->states_;
  if (states.size() >= kMaxGrammarStates || !Spend(meter_, kStateCost)) {
    full_ = true;
    return 0;
  }
  states.push_back(state);
  return static_cast<uint32_t>(states.size() - 1);
}

uint32_t GrammarCompiler::AddRepeat(uint32_t rule, Grammar::Repeat bounds, uint32_t next) {
  grammar_->repeats_.push_back(bounds);
  const auto repeat = static_cast<uint32_t>(grammar_->repeats_.size() - 1);
  return AddNew({.kind = Kind::kRepeat, .next = next, .other = rule, .repeat = repeat});
}

uint32_t GrammarCompiler::AddSplit(uint32_t next, uint32_t other) {
  if (next == other) return next;
  return Add({.kind = Kind::kSplit, .next = next, .other = other});
}

uint32_t GrammarCompiler::AddRule(const Node& node) {
  const auto rule = static_cast<uint32_t>(grammar_->starts_.size());
  if (rule >= 2 * kMaxGrammarRules) {
    full_ = true;
    return 0;
  }
  grammar_->starts_.push_back(0);
  pending_.push_back(&node);
  pending_rules_.push_back(rule);
  return rule;
}

uint32_t GrammarCompiler::Emit(const Node& node, uint32_t next) {
  switch (node.kind) {
    case Node::Kind::kLiteral:
      for (size_t i = node.bytes.size(); i-- > 0 && !full_;) {
        const auto byte = static_cast<uint8_t>(node.bytes[i]);
        next = Add({.kind = Kind::kByte, .low = byte, .high = byte, .next = next});
      }
      return next;
    case Node::Kind::kClass:
      return EmitClass(node.ranges, next);
    case Node::Kind::kRule:
      return Add({.kind = Kind::kCall, .next = next, .other = node.rule});
    case Node::Kind::kSequence:
      for (size_t i = node.items.size(); i-- > 0 && !full_;) next = Emit(node.items[i], next);
      return next;
    case Node::Kind::kChoice:
      return EmitChoice(node.items, next);
    case Node::Kind::kRepeat:
      return EmitRepeat(node, next);
  }
  return next;
}

uint32_t GrammarCompiler::EmitChoice(const std::vector<Node>& items, uint32_t next) {
  std::unordered_set<uint32_t> begins;
  uint32_t choice = 0;
  for (size_t i = items.size(); i-- > 0 && !full_;) {
    const uint32_t begin = Emit(items[i], next);
    if (!begins.insert(begin).second) continue;
    choice = begins.size() == 1 ? begin : AddSplit(begin, choice);
  }
  return choice;
}

uint32_t GrammarCompiler::EmitClass(const std::vector<CodeRange>& ranges, uint32_t next) {
  std::vector<ByteSequence> sequences;
  for (const CodeRange& range : ranges) AppendUtf8Ranges(range, &sequences);
  if (sequences.empty()) return Add({.kind = Kind::kDead});
  uint32_t choice = 0;
  for (size_t k = sequences.size(); k-- > 0 && !full_;) {
    uint32_t at = next;
    for (size_t i = sequences[k].length; i-- > 0;) {
      const ByteRange range = sequences[k].bytes[i];
      at = Add({.kind = Kind::kByte, .low = range.low, .high = range.high, .next = at});
    }
    choice = k + 1 == sequences.size() ? at : AddSplit(at, choice);
  }
  return choice;
}

uint32_t GrammarCompiler::EmitRepeat(const Node& node, uint32_t next) {
  const Node& item = node.items[0];
  const bool unlimited = node.max == Node::kUnlimited;
  Node call;
  const Node* copy = &item;  // what is written down several times is a rule, so that it is small
  if (item.kind != Node::Kind::kRule && (unlimited ? node.min : node.max) > 1) {
    call.kind = Node::Kind::kRule;
    call.rule = AddRule(item);
    copy = &call;
  }
  uint32_t at = next;
  const auto repeat = [&](uint32_t times, bool optional) {
    for (uint32_t i = 0; i < times && !full_; ++i) {
      at = Emit(*copy, at);
      if (optional) at = AddSplit(at, next);
    }
  };
  if (unlimited) {
    // The loop's way in is not known yet, so it is equal to no other state.
    const uint32_t loop = AddNew({.kind = Kind::kSplit, .next = 0, .other = next});
    const uint32_t body = Emit(*copy, loop);
    grammar_->states_[loop].next = body;
    at = node.min == 0 ? loop : body;
    const uint32_t before = std::max(node.min, 1u) - 1;
    if (before > kMaxCopies) return AddRepeat(copy->rule, {before, before}, at);
    repeat(before, /*optional=*/false);
  } else if (node.max > kMaxCopies) {
    return AddRepeat(copy->rule, {node.min, node.max}, next);
  } else {
    repeat(node.max - node.min, /*optional=*/true);
    repeat(node.min, /*optional=*/false);
  }
  return at;
}

Status GrammarCompiler::Pay(uint64_t units_a_state) {
  return Spend(meter_, units_a_state * grammar_->states());
}

tl::unexpected<Error> GrammarCompiler::WhyFull() const {
  if (const Status going_on = Spend(meter_, 0); !going_on) {
    return tl::unexpected<Error>(going_on.error());
  }
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("the grammar is too large: it needs more than {} states; use fewer or "
                          "smaller repetitions",
                          kMaxGrammarStates),
              "grammar");
}

Status GrammarCompiler::EmitRules() {
  for (size_t i = 0; i < pending_.size() && !full_; ++i) {
    const uint32_t accept = AddNew({.kind = Kind::kAccept});
    const uint32_t start = Emit(*pending_[i], accept);
    grammar_->starts_[pending_rules_[i]] = start;
  }
  if (full_) return WhyFull();
  return {};
}

Result<std::shared_ptr<const Grammar>> GrammarCompiler::Compile(
    const std::vector<std::string>& names, const std::vector<Node>& rules, uint32_t root,
    WorkMeter* meter) {
  GrammarCompiler compiler(meter);
  compiler.grammar_->root_ = root;
  for (const Node& rule : rules) compiler.AddRule(rule);
  TRY_OK(compiler.EmitRules());
  TRY_OK(compiler.Analyse(names));
  compiler.grammar_->states_.shrink_to_fit();
  return std::shared_ptr<const Grammar>(compiler.grammar_);
}

size_t Grammar::bytes() const {
  return sizeof *this + states_.capacity() * sizeof(State) + repeats_.capacity() * sizeof(Repeat) +
         3 * starts_.capacity() * sizeof(uint32_t);
}

}  // namespace lockstep
