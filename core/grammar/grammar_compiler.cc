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
// What has to be known of states before they can be run, whether a rule may match nothing and which
// states can never reach an end, are least fixpoints over the graph of states. They are computed
// with work lists, as is the order of the rules: no recursion follows what a client wrote but
// Emit's, down a tree whose height the parser bounds.
#include "core/grammar/grammar_compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <unordered_set>
#include <utility>

#include "core/base/quoted.h"

namespace lockstep {

using Node = GrammarNode;

namespace {

// Repetitions of up to so many are written down as often; others are counted. Both cost a frame of
// the automaton for each time, a count costs a few instructions more and no states.
constexpr uint32_t kMaxCopies = 4;

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
  if (states.size() >= kMaxGrammarStates) {
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

// A property that holds at kAccept and spreads backwards. Each state is looked at again only when
// one that it depends on has come to hold, so the time is linear in the number of edges.
template <class Holds>
std::vector<uint8_t> GrammarCompiler::Fixpoint(const Holds& holds) const {
  const std::vector<State>& states = grammar_->states_;
  std::vector<std::vector<uint32_t>> before(states.size());  // [states] that depend on the state
  for (uint32_t i = 0; i < states.size(); ++i) {
    const State& state = states[i];
    if (state.kind == Kind::kAccept || state.kind == Kind::kDead) continue;
    before[state.next].push_back(i);
    if (state.kind == Kind::kSplit) before[state.other].push_back(i);
    if (state.kind == Kind::kCall || state.kind == Kind::kRepeat) {
      before[grammar_->start(state.other)].push_back(i);
    }
  }
  std::vector<uint8_t> is_true(states.size());
  std::vector<uint32_t> work;
  for (uint32_t i = 0; i < states.size(); ++i) {
    if (states[i].kind == Kind::kAccept) work.push_back(i);
  }
  for (const uint32_t i : work) is_true[i] = 1;
  while (!work.empty()) {
    const uint32_t done = work.back();
    work.pop_back();
    for (const uint32_t i : before[done]) {
      if (is_true[i] || !holds(states[i], is_true)) continue;
      is_true[i] = 1;
      work.push_back(i);
    }
  }
  return is_true;
}

void GrammarCompiler::MarkNullable() {
  nullable_ = Fixpoint([this](const State& state, const std::vector<uint8_t>& is_true) {
    if (state.kind == Kind::kSplit) return is_true[state.next] || is_true[state.other];
    if (state.kind == Kind::kByte || !is_true[state.next]) return false;
    return MayPass(state) || is_true[grammar_->start(state.other)] != 0;
  });
  for (State& state : grammar_->states_) {
    if (state.kind == Kind::kCall) state.nullable = nullable_[grammar_->start(state.other)] != 0;
  }
}

bool GrammarCompiler::MayPass(const State& state) const {
  return state.kind == Kind::kRepeat && grammar_->repeat(state).min == 0;
}

void GrammarCompiler::UnrollNullable() {
  const size_t count = grammar_->states_.size();
  for (uint32_t i = 0; i < count && !full_; ++i) {
    const State state = grammar_->states_[i];
    if (state.kind != Kind::kRepeat || !nullable_[grammar_->start(state.other)]) continue;
    // What may match nothing may as well come fewer times.
    uint32_t at = state.next;
    for (uint32_t k = grammar_->repeat(state).max; k > 0 && !full_; --k) {
      const State call{.kind = Kind::kCall, .nullable = true, .next = at, .other = state.other};
      if (k == 1) {
        grammar_->states_[i] = call;
      } else {
        at = AddNew(call);
      }
    }
  }
}

void GrammarCompiler::RemoveDead() {
  const std::vector<uint8_t> alive =
      Fixpoint([this](const State& state, const std::vector<uint8_t>& is_true) {
        if (state.kind == Kind::kSplit) return is_true[state.next] || is_true[state.other];
        const bool calls = state.kind == Kind::kCall || state.kind == Kind::kRepeat;
        return is_true[state.next] &&
               (!calls || MayPass(state) || is_true[grammar_->start(state.other)]);
      });
  for (size_t i = 0; i < alive.size(); ++i) {
    if (!alive[i]) grammar_->states_[i].kind = Kind::kDead;
  }
}

std::vector<uint32_t> GrammarCompiler::LeftCalls(uint32_t rule) const {
  std::vector<uint32_t> calls, work = {grammar_->start(rule)};
  while (!work.empty()) {
    const uint32_t i = work.back();
    work.pop_back();
    if (std::exchange(seen_[i], 1)) continue;
    const State& state = grammar_->state(i);
    if (state.kind == Kind::kSplit) {
      work.push_back(state.next);
      work.push_back(state.other);
    } else if (state.kind == Kind::kCall) {
      calls.push_back(state.other);
      if (state.nullable) work.push_back(state.next);
    } else if (state.kind == Kind::kRepeat) {
      calls.push_back(state.other);
      if (MayPass(state)) work.push_back(state.next);
    }
  }
  return calls;
}

// A topological order, by depth-first search with its own stack. Meeting a rule that is still open
// is a circle: that rule can call itself before it has matched a byte.
uint32_t GrammarCompiler::OrderRules() {
  const auto rules = static_cast<uint32_t>(grammar_->rules());
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> mark(rules, kNew);
  std::vector<uint32_t> finished;
  struct Visit {
    uint32_t rule;
    std::vector<uint32_t> calls;
  };
  seen_.assign(grammar_->states(), 0);  // a state belongs to one rule
  for (uint32_t first = 0; first < rules; ++first) {
    if (mark[first] != kNew) continue;
    mark[first] = kOpen;
    std::vector<Visit> path;
    path.push_back({first, LeftCalls(first)});
    while (!path.empty()) {
      Visit& visit = path.back();
      if (visit.calls.empty()) {
        mark[visit.rule] = kDone;
        finished.push_back(visit.rule);
        path.pop_back();
        continue;
      }
      const uint32_t called = visit.calls.back();
      visit.calls.pop_back();
      if (mark[called] == kOpen) {
        // A rule of the text rather than one made for a repetition.
        uint32_t named = called;
        for (size_t i = path.size(); i-- > 0 && path[i].rule != called;) {
          named = std::min(named, path[i].rule);
        }
        return named;
      }
      if (mark[called] == kDone) continue;
      mark[called] = kOpen;
      path.push_back({called, LeftCalls(called)});
    }
  }
  std::ranges::reverse(finished);
  grammar_->order_.resize(rules);
  for (uint32_t i = 0; i < rules; ++i) grammar_->order_[finished[i]] = i;
  grammar_->by_order_ = std::move(finished);
  return rules;
}

// Two bytes that no range of the grammar tells apart are of one class. Most grammars have a few
// dozen, so that the automaton's table of transitions is a fraction of what 256 columns would take.
void GrammarCompiler::FindClasses() {
  std::bitset<257> begins;
  for (const State& state : grammar_->states_) {
    if (state.kind != Kind::kByte) continue;
    begins.set(state.low);
    begins.set(size_t{state.high} + 1);
  }
  begins.set(0);
  for (size_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) grammar_->representative_.push_back(static_cast<uint8_t>(byte));
    grammar_->class_[byte] = static_cast<uint8_t>(grammar_->representative_.size() - 1);
  }
}

Result<std::shared_ptr<const Grammar>> GrammarCompiler::Compile(
    const std::vector<std::string>& names, const std::vector<Node>& rules, uint32_t root) {
  GrammarCompiler compiler;
  Grammar& grammar = *compiler.grammar_;
  grammar.root_ = root;
  for (const Node& rule : rules) compiler.AddRule(rule);
  for (size_t i = 0; i < compiler.pending_.size() && !compiler.full_; ++i) {
    const uint32_t accept = compiler.AddNew({.kind = Kind::kAccept});
    const uint32_t start = compiler.Emit(*compiler.pending_[i], accept);
    grammar.starts_[compiler.pending_rules_[i]] = start;
  }
  const auto too_large = [] {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the grammar is too large: it needs more than {} states; use fewer or "
                            "smaller repetitions",
                            kMaxGrammarStates),
                "grammar");
  };
  if (compiler.full_) return too_large();
  compiler.RemoveDead();
  compiler.MarkNullable();
  compiler.UnrollNullable();
  if (compiler.full_) return too_large();
  if (grammar.state(grammar.start(root)).kind == Kind::kDead) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the grammar matches no text: what {} begins can never end",
                            Quoted(names[root])),
                "grammar");
  }
  if (const uint32_t rule = compiler.OrderRules(); rule < grammar.rules()) {
    const std::string name = rule < names.size() ? Quoted(names[rule]) : "a repeated group";
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the rule {} is left-recursive: it may call itself before it has "
                            "matched anything; put what is repeated first, or use *",
                            name),
                "grammar");
  }
  compiler.FindClasses();
  grammar.states_.shrink_to_fit();
  return std::shared_ptr<const Grammar>(compiler.grammar_);
}

size_t Grammar::bytes() const {
  return sizeof *this + states_.capacity() * sizeof(State) + repeats_.capacity() * sizeof(Repeat) +
         3 * starts_.capacity() * sizeof(uint32_t);
}

}  // namespace lockstep
