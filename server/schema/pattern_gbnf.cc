// From the tree of a regular expression to GBNF, part by part: GBNF has the same operators, so that
// a pattern that stands alone needs no automaton and a repetition stays a number.
#include <fmt/format.h>

#include <algorithm>

#include "server/schema/char_classes.h"
#include "server/schema/json_pattern.h"

namespace lockstep {
namespace {

using Node = PatternNode;

// How many characters a node's texts have.
struct Span {
  uint64_t min, max;
};
constexpr uint64_t kManyChars = 1'000'000'000;

Span Lengths(const Node& node) {
  Span out = {0, 0};
  if (node.kind == Node::Kind::kChars) return {1, 1};
  if (node.kind == Node::Kind::kChoice) out.min = kManyChars;
  for (const Node& item : node.items) {
    const Span part = Lengths(item);
    if (node.kind == Node::Kind::kChoice) {
      out = {std::min(out.min, part.min), std::max(out.max, part.max)};
    } else if (node.kind == Node::Kind::kSequence) {
      out = {out.min + part.min, out.max + part.max};
    } else {
      out = {part.min * node.min,
             node.max == Node::kUnlimited && part.max > 0 ? kManyChars : part.max * node.max};
    }
  }
  return {std::min(out.min, kManyChars), std::min(out.max, kManyChars)};
}

}  // namespace

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

std::string PatternToGbnf(const Node& node, std::string_view any_char) {
  std::string out;
  switch (node.kind) {
    case Node::Kind::kChars:
      return CharsToGbnf(node.chars);
    case Node::Kind::kSequence:
      for (const Node& item : node.items) out += PatternToGbnf(item, any_char) + " ";
      return out.empty() ? "\"\"" : out;
    case Node::Kind::kChoice:
      for (const Node& item : node.items) {
        out += (out.empty() ? "(" : " | ") + PatternToGbnf(item, any_char);
      }
      return out + ")";
    case Node::Kind::kRepeat: {
      const std::vector<CodeRange>& chars = node.items[0].chars;
      const bool any = std::ranges::equal(chars, AllChars(), [](CodeRange a, CodeRange b) {
        return a.low == b.low && a.high == b.high;
      });
      out = any ? std::string(any_char) : PatternToGbnf(node.items[0], any_char);
      if (node.items[0].kind == Node::Kind::kRepeat) out = "(" + out + ")";
      if (node.max == Node::kUnlimited) return out + fmt::format("{{{},}}", node.min);
      return out + fmt::format("{{{},{}}}", node.min, node.max);
    }
  }
  return out;
}

}  // namespace lockstep
