// What has to be known of all states before they can be run: which rules may match nothing, which
// states can never reach an end, in which order rules call each other. The first two are least
// fixpoints over the graph of states. All are computed with work lists of their own: no recursion
// follows what a client wrote.
#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <utility>

#include "core/base/quoted.h"
#include "core/grammar/grammar_compiler.h"

namespace lockstep {
namespace {

// What it costs to look at a state once more, in units of WorkMeter.
constexpr uint64_t kLookCost = 16;

}  // namespace

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

Status GrammarCompiler::Analyse(const std::vector<std::string>& names) {
  RemoveDead();
  TRY_OK(Pay(kLookCost));
  MarkNullable();
  TRY_OK(Pay(kLookCost));
  UnrollNullable();
  if (full_) return WhyFull();
  const uint32_t root = grammar_->root_;
  if (grammar_->state(grammar_->start(root)).kind == Kind::kDead) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the grammar matches no text: what {} begins can never end",
                            Quoted(names[root])),
                "grammar");
  }
  TRY_OK(Pay(kLookCost));
  if (const uint32_t rule = OrderRules(); rule < grammar_->rules()) {
    const std::string name = rule < names.size() ? Quoted(names[rule]) : "a repeated group";
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the rule {} is left-recursive: it may call itself before it has "
                            "matched anything; put what is repeated first, or use *",
                            name),
                "grammar");
  }
  FindClasses();
  return {};
}

}  // namespace lockstep
