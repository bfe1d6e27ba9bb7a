// Automata are built by following all that can be reached from the start (the product construction
// for intersections and lengths), and keep no state from which no text ends: so an empty language
// is one without states. They are not minimized: what clients write is small, and a rule that is
// there twice costs its text and no time.
#include "server/schema/language.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "core/base/utf8.h"
#include "core/grammar/grammar.h"

namespace lockstep {
namespace {

constexpr CodeRange kAllChars = {0, kMaxCodePoint};
constexpr uint64_t kEdgeCost = 32;  // in units of WorkMeter: a look into a map of pairs

tl::unexpected<Error> TooLarge() {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("what it says needs more than {} states in all", Language::kMaxStates));
}

// The states of a product, numbered as they are met.
class Product {
 public:
  using Pair = std::pair<uint32_t, uint32_t>;

  uint32_t Number(Pair pair) {
    const auto [known, is_new] = numbers_.try_emplace(uint64_t{pair.first} << 32 | pair.second,
                                                      static_cast<uint32_t>(pairs_.size()));
    if (is_new) pairs_.push_back(pair);
    return known->second;
  }
  size_t size() const { return pairs_.size(); }
  Pair operator[](size_t i) const { return pairs_[i]; }

 private:
  std::unordered_map<uint64_t, uint32_t> numbers_;
  std::vector<Pair> pairs_;
};

// The automaton of a product: `visit(pair, state)` fills a state and numbers where it leads.
template <class Visit>
Result<Language> Explore(Product& product, WorkMeter* meter, const Visit& visit) {
  std::vector<Language::State> states;
  size_t edges = 0;
  for (size_t i = 0; i < product.size(); ++i) {
    visit(product[i], &states.emplace_back());
    edges += states.back().edges.size();
    TRY_OK(Spend(meter, kEdgeCost * (1 + states.back().edges.size())));
    if (product.size() > Language::kMaxStates || edges > Language::kMaxEdges) return TooLarge();
  }
  return Language(std::move(states));
}

}  // namespace

Language::Language(std::vector<State> states) : states_(std::move(states)) { RemoveDead(); }

Language Language::Any() { return Language({{true, {{kAllChars, 0}}}}); }

// The automaton of a list is a trie: words that begin alike share the states of their beginning.
// They are sorted, and UTF-8 sorts as its characters do, so that what a word shares it shares with
// the one before, by the last edges.
Language Language::Words(std::vector<std::string> words) {
  std::ranges::sort(words);
  std::vector<State> states(1);
  for (const std::string& word : words) {
    uint32_t at = 0;
    for (std::string_view rest = word; !rest.empty(); rest.remove_prefix(CharacterLength(rest))) {
      const uint32_t code = FirstCodePoint(rest);
      auto& edges = states[at].edges;
      if (!edges.empty() && edges.back().chars.low == code) {
        at = edges.back().to;
        continue;
      }
      const auto next = static_cast<uint32_t>(states.size());
      edges.push_back({{code, code}, next});
      states.emplace_back();
      at = next;
    }
    states[at].accepts = true;
  }
  return Language(std::move(states));
}

// A state is alive if some text ends from there: the edges are followed backwards from all states
// that accept. The others keep their order, so that the start stays the first.
void Language::RemoveDead() {
  std::vector<std::vector<uint32_t>> before(states_.size());
  std::vector<uint32_t> work;
  std::vector<uint8_t> alive(states_.size());
  for (uint32_t i = 0; i < states_.size(); ++i) {
    for (const Edge& edge : states_[i].edges) before[edge.to].push_back(i);
    alive[i] = states_[i].accepts;
    if (alive[i]) work.push_back(i);
  }
  while (!work.empty()) {
    const uint32_t done = work.back();
    work.pop_back();
    for (const uint32_t i : before[done]) {
      if (!std::exchange(alive[i], 1)) work.push_back(i);
    }
  }
  if (states_.empty() || !alive[0]) {
    states_.clear();
    return;
  }
  std::vector<uint32_t> number(states_.size());
  uint32_t kept = 0;
  for (uint32_t i = 0; i < states_.size(); ++i) number[i] = alive[i] ? kept++ : 0;
  for (uint32_t i = 0; i < states_.size(); ++i) {
    if (!alive[i]) continue;
    std::erase_if(states_[i].edges, [&](const Edge& edge) { return !alive[edge.to]; });
    for (Edge& edge : states_[i].edges) edge.to = number[edge.to];
    if (number[i] != i) states_[number[i]] = std::move(states_[i]);
  }
  states_.resize(kept);
}

Result<Language> Language::And(const Language& other, WorkMeter* meter) const {
  if (empty() || other.empty()) return Language({});
  Product product;
  product.Number({0, 0});
  return Explore(product, meter, [&](Product::Pair pair, State* out) {
    const State &a = states_[pair.first], &b = other.states_[pair.second];
    out->accepts = a.accepts && b.accepts;
    // Both lists are sorted, so that what they have in common is found as in a merge: the edge that
    // ends first is done with.
    for (size_t i = 0, j = 0; i < a.edges.size() && j < b.edges.size();) {
      const CodeRange common = {std::max(a.edges[i].chars.low, b.edges[j].chars.low),
                                std::min(a.edges[i].chars.high, b.edges[j].chars.high)};
      if (common.low <= common.high) {
        out->edges.push_back({common, product.Number({a.edges[i].to, b.edges[j].to})});
      }
      (a.edges[i].chars.high < b.edges[j].chars.high ? i : j) += 1;
    }
  });
}

// The automaton is first made total, with an edge for every character in every state, and then the
// states that accept change places with those that do not. That is right because it is
// deterministic. The empty language has no states, so that `rest` is the start, and all texts come
// out.
Language Language::Not() const {
  std::vector<State> states = states_;
  const auto rest = static_cast<uint32_t>(states.size());  // where the texts go that have left
  states.push_back({false, {{kAllChars, rest}}});
  for (uint32_t i = 0; i < rest; ++i) {
    std::vector<Edge> edges;
    uint32_t low = 0;
    for (const Edge& edge : states[i].edges) {
      if (low < edge.chars.low) edges.push_back({{low, edge.chars.low - 1}, rest});
      edges.push_back(edge);
      low = edge.chars.high + 1;
    }
    if (low <= kMaxCodePoint) edges.push_back({{low, kMaxCodePoint}, rest});
    states[i].edges = std::move(edges);
  }
  for (State& state : states) state.accepts = !state.accepts;
  return Language(std::move(states));
}

Result<Language> Language::WithLength(size_t min, std::optional<size_t> max,
                                      WorkMeter* meter) const {
  if (empty()) return *this;
  Product product;
  product.Number({0, 0});
  const size_t last = max.value_or(min);  // counts beyond are alike: none, or all
  return Explore(product, meter, [&](Product::Pair pair, State* out) {
    const auto [at, count] = pair;
    out->accepts = states_[at].accepts && count >= min;
    if (max && count == *max) return;
    const auto next = static_cast<uint32_t>(std::min<size_t>(count + 1, last));
    for (const Edge& edge : states_[at].edges) {
      out->edges.push_back({edge.chars, product.Number({edge.to, next})});
    }
  });
}

std::pair<size_t, std::optional<size_t>> Language::Lengths() const {
  if (empty()) return {1, 0};
  // From length to length, the states in which a text may be; without a circle, each text has
  // fewer characters than there are states.
  std::vector<uint32_t> now = {0}, next;
  std::vector<size_t> seen(states_.size(), SIZE_MAX);
  std::optional<size_t> least;
  size_t most = 0;
  for (size_t length = 0; !now.empty(); ++length) {
    if (length >= states_.size()) return {least.value_or(0), std::nullopt};
    next.clear();
    for (const uint32_t i : now) {
      if (states_[i].accepts) {
        least = least.value_or(length);
        most = length;
      }
      for (const Edge& edge : states_[i].edges) {
        if (std::exchange(seen[edge.to], length) != length) next.push_back(edge.to);
      }
    }
    now.swap(next);
  }
  return {*least, most};
}

bool Language::Contains(std::string_view text) const {
  if (empty()) return false;
  uint32_t at = 0;
  for (; !text.empty(); text.remove_prefix(CharacterLength(text))) {
    const uint32_t code = FirstCodePoint(text);
    const auto& edges = states_[at].edges;
    const auto edge = std::ranges::partition_point(
        edges, [code](const Edge& known) { return known.chars.high < code; });
    if (edge == edges.end() || edge->chars.low > code) return false;
    at = edge->to;
  }
  return states_[at].accepts;
}

// The rules are a right-linear grammar: each state has a rule, with an alternative for each state
// that it leads to. A state without edges accepts, or it would be dead, so that nothing has to
// follow the character that leads there. Edges to one state become one class: a-z to 5 and A-Z to 5
// are [A-Za-z].
std::string Language::Define(JsonRules* rules, CharsWriter write_chars) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < states_.size(); ++i) names.push_back(rules->NewName());
  for (size_t i = 0; i < states_.size(); ++i) {
    std::map<uint32_t, std::vector<CodeRange>> by_target;
    for (const Edge& edge : states_[i].edges) by_target[edge.to].push_back(edge.chars);
    std::string choices = states_[i].accepts ? "\"\"" : "";
    for (auto& [to, chars] : by_target) {
      choices += (choices.empty() ? "" : " | ") + write_chars(Normalized(chars));
      if (!states_[to].edges.empty()) choices += " " + names[to];
    }
    rules->Define(names[i], choices);
  }
  return names[0];
}

// By De Morgan's law, the intersection is the complement of what is outside of either.
std::vector<CodeRange> Intersection(const std::vector<CodeRange>& a,
                                    const std::vector<CodeRange>& b) {
  std::vector<CodeRange> outside = Complement(a);
  for (const CodeRange& range : Complement(b)) outside.push_back(range);
  return Complement(Normalized(outside));
}

std::string BareCharsToGbnf(const std::vector<CodeRange>& chars) {
  std::string out;
  for (const CodeRange& range : chars) {
    out += GbnfClassChar(range.low);
    if (range.high > range.low) out += "-" + GbnfClassChar(range.high);
  }
  return "[" + out + "]";
}

std::string CharsToGbnf(const std::vector<CodeRange>& chars) {
  // RFC 8259, section 7: a string must escape its quote, the backslash and the control characters
  // below U+0020, and nothing else.
  static const std::vector<CodeRange> plain =
      Complement(Normalized({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}));
  const std::vector<CodeRange> unescaped = Intersection(chars, plain);
  std::string out = unescaped.empty() ? "" : BareCharsToGbnf(unescaped);
  for (const CodeRange& range : Intersection(chars, Complement(plain))) {
    for (uint32_t c = range.low; c <= range.high; ++c) {
      constexpr std::string_view kShort = "\b\f\n\r\t\"\\", kNames = "bfnrt\"\\";
      const size_t at = kShort.find(static_cast<char>(c));
      const std::string escape =
          at == kShort.npos ? fmt::format("\\u{:04X}", c) : std::string("\\") + kNames[at];
      out += (out.empty() ? "" : " | ") + GbnfLiteral(escape);
    }
  }
  return out.empty() ? "[]" : "(" + out + ")";
}

}  // namespace lockstep
