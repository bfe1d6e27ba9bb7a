// From the tree of a regular expression to GBNF, part by part: GBNF has the same operators, so that
// a pattern that stands alone needs no automaton and a repetition stays a number.
#include <fmt/format.h>

#include <algorithm>

#include "core/grammar/grammar.h"
#include "server/schema/char_classes.h"
#include "server/schema/json_pattern.h"

namespace lockstep {
namespace {

using Node = PatternNode;

// How many characters a node's texts have.
struct Span {
  uint64_t min, max;
};
// It stands for no bound. Lengths are cut to it at each node, so that a length times a repetition's
// 32 bits still fits into 64.
constexpr uint64_t kManyChars = 1'000'000'000;

// How long its texts are, with no repetition of more than `cap` times where it need not be of more.
Span Lengths(const Node& node, uint32_t cap = Node::kUnlimited) {
  Span out = {0, 0};
  if (node.kind == Node::Kind::kChars) return {1, 1};
  if (node.kind == Node::Kind::kChoice) out.min = kManyChars;
  for (const Node& item : node.items) {
    const Span part = Lengths(item, cap);
    if (node.kind == Node::Kind::kChoice) {
      out = {std::min(out.min, part.min), std::max(out.max, part.max)};
    } else if (node.kind == Node::Kind::kSequence) {
      out = {out.min + part.min, out.max + part.max};
    } else {
      const uint32_t max = std::max(node.min, std::min(node.max, cap));
      out = {part.min * node.min,
             max == Node::kUnlimited && part.max > 0 ? kManyChars : part.max * max};
    }
  }
  return {std::min(out.min, kManyChars), std::min(out.max, kManyChars)};
}

Node Capped(Node node, uint32_t cap) {
  if (node.kind == Node::Kind::kRepeat) node.max = std::max(node.min, std::min(node.max, cap));
  for (Node& item : node.items) item = Capped(std::move(item), cap);
  return node;
}

// A class loses the control characters that no answer should have: all of ASCII's but the tab, the
// line feed and the carriage return.
std::string PlainCharsToGbnf(const std::vector<CodeRange>& chars) {
  static const std::vector<CodeRange> allowed =
      Complement(Normalized({{0, 8}, {0xB, 0xC}, {0xE, 0x1F}, {0x7F, 0x7F}}));
  return BareCharsToGbnf(Intersection(chars, allowed));
}

bool IsAnyChar(const Node& node) {
  return std::ranges::equal(node.chars, AllChars(), [](CodeRange a, CodeRange b) {
    return a.low == b.low && a.high == b.high;
  });
}

// `any_char` may be empty: then any character is written like the others.
std::string Write(const Node& node, CharsWriter write_chars, std::string_view any_char) {
  std::string out;
  switch (node.kind) {
    case Node::Kind::kChars:
      return write_chars(node.chars);
    case Node::Kind::kSequence:
      for (const Node& item : node.items) out += Write(item, write_chars, any_char) + " ";
      return out.empty() ? "\"\"" : out;
    case Node::Kind::kChoice:
      for (const Node& item : node.items) {
        out += (out.empty() ? "(" : " | ") + Write(item, write_chars, any_char);
      }
      return out + ")";
    case Node::Kind::kRepeat: {
      const Node& item = node.items[0];
      const bool any = !any_char.empty() && IsAnyChar(item);
      out = any ? std::string(any_char) : Write(item, write_chars, any_char);
      // GBNF takes no operator directly behind another: (a{2}){3} needs the brackets.
      if (item.kind == Node::Kind::kRepeat) out = "(" + out + ")";
      if (node.max == Node::kUnlimited) return out + fmt::format("{{{},}}", node.min);
      return out + fmt::format("{{{},{}}}", node.min, node.max);
    }
  }
  return out;
}

}  // namespace

// [a-z]+ of 3 to 5 characters becomes [a-z]{3,5}. A choice such as a|bcd would have to lose some of
// its alternatives, and is left to the automaton.
std::optional<Node> WithLengths(const Node& node, size_t min, std::optional<size_t> max) {
  const Span lengths = Lengths(node);
  if (lengths.min >= min && (!max || lengths.max <= *max)) return node;
  if (node.kind == Node::Kind::kChoice || node.kind == Node::Kind::kSequence) {
    if (node.items.size() != 1) return std::nullopt;
    return WithLengths(node.items[0], min, max);
  }
  if (node.kind != Node::Kind::kRepeat || node.items[0].kind != Node::Kind::kChars) {
    return std::nullopt;
  }
  Node out = node;
  out.min = std::max(out.min, static_cast<uint32_t>(min));
  if (max) out.max = std::min(out.max, static_cast<uint32_t>(*max));
  if (out.min > out.max) return std::nullopt;
  return out;
}

std::optional<Node> Shortened(const Node& node, size_t max) {
  // The largest cap that does it, by bisection: lengths grow with the cap.
  uint32_t low = 0;
  if (Lengths(node, low).max > max) return std::nullopt;
  for (uint32_t step = uint32_t{1} << 30; step > 0; step /= 2) {
    if (Lengths(node, low + step).max <= max) low += step;
  }
  return Capped(node, low);
}

std::string PatternToGbnf(const Node& node, std::string_view any_char) {
  return Write(node, CharsToGbnf, any_char);
}

Result<std::string> TextPatternToGbnf(std::string_view pattern) {
  TRY(const Pattern parsed, ParsePattern(pattern, PatternAnchors::kBothEnds));
  if (!parsed.conditions.empty()) {
    return Fail(ErrorKind::kInvalidArgument, "look-ahead is not supported");
  }
  return Write(parsed.node, PlainCharsToGbnf, {});
}

}  // namespace lockstep
