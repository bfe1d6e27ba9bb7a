// From the tree of a regular expression to its language, by the usual two steps: Thompson's
// nondeterministic automaton, then the subset construction (Aho, Sethi and Ullman, Compilers, 3.7).
// Both can grow beyond all measure, and end early where they do.
#include <algorithm>
#include <map>
#include <utility>

#include "server/schema/json_pattern.h"

namespace lockstep {
namespace {

using Node = PatternNode;
using Ranges = std::vector<CodeRange>;

constexpr size_t kMaxNfaStates = 1 << 15;
// Bounds the ranges of characters that are looked at for all sets of states together, and with them
// the time that a hostile pattern can take: some 100 ms.
constexpr size_t kMaxWork = size_t{1} << 21;
constexpr uint64_t kRangeCost = 16;  // in units of WorkMeter

// Thompson's automaton of a tree: states with at most two ways on that take no character, or one
// that takes one of `chars`.
class Nfa {
 public:
  struct State {
    const Ranges* chars = nullptr;  // null: next and other are taken for nothing
    uint32_t next, other;
  };

  // The state from which `node` is matched on the way to `next`; too_large() if it is none.
  uint32_t Emit(const Node& node, uint32_t next) {
    if (too_large()) return next;
    switch (node.kind) {
      case Node::Kind::kChars:
        return Add({&node.chars, next, next});
      case Node::Kind::kSequence:
        for (size_t i = node.items.size(); i-- > 0;) next = Emit(node.items[i], next);
        return next;
      case Node::Kind::kChoice: {
        uint32_t choice = Emit(node.items.back(), next);
        for (size_t i = node.items.size() - 1; i-- > 0;) {
          choice = Add({nullptr, Emit(node.items[i], next), choice});
        }
        return choice;
      }
      case Node::Kind::kRepeat:
        return EmitRepeat(node, next);
    }
    return next;
  }
  uint32_t Add(State state) {
    states_.push_back(state);
    return static_cast<uint32_t>(states_.size() - 1);
  }
  bool too_large() const { return states_.size() > kMaxNfaStates; }
  const State& operator[](uint32_t i) const { return states_[i]; }

 private:
  // A counted repetition is copies of its item, the optional ones nested: a{1,3} is emitted as
  // a(a(a)?)?. One without end is a loop behind the copies that must be there: a{2,} is aaa*.
  uint32_t EmitRepeat(const Node& node, uint32_t next) {
    uint32_t at = next;
    if (node.max == Node::kUnlimited) {
      at = Add({nullptr, next, next});
      const uint32_t body = Emit(node.items[0], at);
      states_[at].other = body;
    } else {
      for (uint32_t i = node.min; i < node.max && !too_large(); ++i) {
        at = Add({nullptr, Emit(node.items[0], at), next});
      }
    }
    for (uint32_t i = 0; i < node.min && !too_large(); ++i) at = Emit(node.items[0], at);
    return at;
  }

  std::vector<State> states_;
};

// The subset construction. A state of the result is the set of Thompson's states in which a reader
// of the text so far may be.
class Determinizer {
 public:
  explicit Determinizer(WorkMeter* meter) : meter_(meter) {}

  Result<Language> Run(const Node& node) {
    const uint32_t end = nfa_.Add({nullptr, 0, 0});
    const uint32_t start = nfa_.Emit(node, end);
    size_t edges = 0;
    if (!nfa_.too_large()) Number({start}, end);
    std::vector<Language::State> states;
    for (uint32_t i = 0; i < sets_.size(); ++i) {
      states.emplace_back();
      Leave(i, end, &states.back());
      states.back().accepts = std::ranges::binary_search(sets_[i], end);
      edges += states.back().edges.size();
      const bool large = sets_.size() > Language::kMaxStates || edges > Language::kMaxEdges;
      if (large || work_ > kMaxWork) break;
      TRY_OK(Spend(meter_, kRangeCost * (work_ - std::exchange(paid_, work_))));
    }
    if (nfa_.too_large() || work_ > kMaxWork || states.size() < sets_.size()) {
      return Fail(ErrorKind::kInvalidArgument,
                  "together with what else is said about the text, it is too large");
    }
    return Language(std::move(states));
  }

 private:
  // Returns the number of the epsilon closure of `states`. Only what takes a character, and the
  // end, is kept in the set, sorted, so that equal sets are found to be equal.
  uint32_t Number(std::vector<uint32_t> states, uint32_t end) {
    std::vector<uint32_t> set;
    std::vector<uint8_t>& seen = seen_;
    seen.resize(kMaxNfaStates + 2);
    std::vector<uint32_t> marked;
    while (!states.empty()) {
      const uint32_t i = states.back();
      states.pop_back();
      if (std::exchange(seen[i], 1)) continue;
      marked.push_back(i);
      if (i == end || nfa_[i].chars != nullptr) {
        set.push_back(i);
      } else {
        states.push_back(nfa_[i].next);
        states.push_back(nfa_[i].other);
      }
    }
    for (const uint32_t i : marked) seen[i] = 0;
    std::ranges::sort(set);
    const auto [known, is_new] = numbers_.try_emplace(set, static_cast<uint32_t>(sets_.size()));
    if (is_new) sets_.push_back(std::move(set));
    return known->second;
  }

  // Adds the edges of a set. All characters are cut where any of the set's ranges begins or ends,
  // from low to high, and `now` has the states to which the current piece leads: the ranges a-f and
  // d-z make the pieces a-c, d-f and g-z. `now` is empty behind the last cut, so that a piece
  // always has a next cut to end at.
  void Leave(uint32_t from, uint32_t end, Language::State* out) {
    std::map<uint32_t, std::vector<uint32_t>> begins, ends;  // at a character, which states
    for (const uint32_t i : sets_[from]) {
      if (i == end) continue;
      work_ += nfa_[i].chars->size();
      if (work_ > kMaxWork) return;
      for (const CodeRange& range : *nfa_[i].chars) {
        begins[range.low].push_back(nfa_[i].next);
        ends[range.high + 1].push_back(nfa_[i].next);
        begins.try_emplace(range.high + 1);
      }
    }
    std::map<uint32_t, size_t> now;  // how many ranges lead to a state
    for (auto at = begins.begin(); at != begins.end(); ++at) {
      for (const uint32_t i : ends[at->first]) {
        if (--now[i] == 0) now.erase(i);
      }
      for (const uint32_t i : at->second) ++now[i];
      if (now.empty()) continue;
      std::vector<uint32_t> states;
      for (const auto& [i, count] : now) states.push_back(i);
      const CodeRange chars = {at->first, std::next(at)->first - 1};
      const uint32_t to = Number(std::move(states), end);
      auto& edges = out->edges;
      if (!edges.empty() && edges.back().to == to && edges.back().chars.high + 1 == chars.low) {
        edges.back().chars.high = chars.high;
      } else {
        edges.push_back({chars, to});
      }
    }
  }

  WorkMeter* const meter_;
  Nfa nfa_;
  std::vector<std::vector<uint32_t>> sets_;
  std::map<std::vector<uint32_t>, uint32_t> numbers_;
  size_t work_ = 0, paid_ = 0;
  std::vector<uint8_t> seen_;  // [states of nfa_] scratch of Number
};

}  // namespace

Result<Language> PatternLanguage(const Pattern& pattern, WorkMeter* meter) {
  TRY(Language language, Determinizer(meter).Run(pattern.node));
  for (const Pattern::Condition& condition : pattern.conditions) {
    TRY(Language other, Determinizer(meter).Run(condition.node));
    TRY(language, language.And(condition.negated ? other.Not() : other, meter));
  }
  return language;
}

}  // namespace lockstep
