// Reads llama.cpp's GBNF by recursive descent, one function for each line of its grammar:
//
//   rule     = name "::=" choice newline             ParseRule
//   choice   = sequence { "|" sequence }             ParseChoice
//   sequence = { item { "*" | "+" | "?" | "{m,n}" }} ParseSequence, ParseRepetitions
//   item     = literal | class | "." | name | "(" choice ")"   ParseItem
//
// The text is a client's. Recursion goes only through parentheses, of which at most
// kMaxGrammarNesting may stand in each other; what stacks up without them, as in a****, is bounded
// by the height of the tree that it makes, because compiling and freeing the tree go down it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/grammar/grammar.h"
#include "core/grammar/grammar_compiler.h"
#include "core/grammar/utf8_ranges.h"

namespace lockstep {
namespace {

using Node = GrammarNode;

// How deep the parts of a rule may lie in each other: each pair of parentheses may add a
// repetition, a choice and a sequence, and repetitions of repetitions get as much again.
constexpr uint32_t kMaxGrammarHeight = 4 * kMaxGrammarNesting;
constexpr uint64_t kMaxRepetition = 1'000'000'000;  // far beyond what fits
// What reading takes, in units of WorkMeter: a part of a rule is a node, with memory of its own.
constexpr uint64_t kNodeCost = 32, kByteCost = 2;

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

Node Collected(Node::Kind kind, std::vector<Node> items) {
  if (items.size() == 1) return std::move(items[0]);
  Node node;
  node.kind = kind;
  node.items = std::move(items);
  for (const Node& item : node.items) node.height = std::max(node.height, item.height + 1);
  return node;
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view root, WorkMeter* meter)
      : text_(text), root_(root), meter_(meter) {}

  Result<std::shared_ptr<const Grammar>> Parse();

 private:
  Status ParseRule();
  Status ParseChoice(size_t depth, Node* node);
  Status ParseSequence(size_t depth, Node* node);
  Status ParseItem(size_t depth, Node* node);
  Status ParseLiteral(Node* node);
  Status ParseClass(Node* node);
  Status ParseChar(uint32_t* code);
  Status ParseHex(size_t digits, uint32_t* code);
  Status ParseRepetitions(Node* node);
  Status ParseCount(uint32_t* count);
  std::string_view ParseName();
  uint32_t RuleOf(std::string_view name);

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool AtEnd() const { return at_ >= text_.size(); }
  bool Take(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  void SkipSpace(bool newlines);
  // An error that names the place.
  tl::unexpected<Error> FailHere(const std::string& problem) const;

  std::string_view text_, root_;
  WorkMeter* const meter_;
  size_t at_ = 0;
  std::vector<std::string> names_;
  std::vector<size_t> first_use_;  // [rules] where in the text
  std::vector<std::optional<Node>> rules_;
  std::unordered_map<std::string_view, uint32_t> ids_;
};

tl::unexpected<Error> Parser::FailHere(const std::string& problem) const {
  const std::string_view before = text_.substr(0, std::min(at_, text_.size()));
  const size_t line = static_cast<size_t>(std::ranges::count(before, '\n')) + 1;
  const size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  return Fail(
      ErrorKind::kInvalidArgument,
      fmt::format("the grammar is not acceptable at line {}, column {}: {}", line, column, problem),
      "grammar");
}

void Parser::SkipSpace(bool newlines) {
  while (!AtEnd()) {
    const char c = Peek();
    if (c == '#') {
      at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
    } else if (c == ' ' || c == '\t' || (newlines && (c == '\r' || c == '\n'))) {
      ++at_;
    } else {
      return;
    }
  }
}

std::string_view Parser::ParseName() {
  const size_t begin = at_;
  while (!AtEnd() && IsNameChar(Peek())) ++at_;
  return text_.substr(begin, at_ - begin);
}

uint32_t Parser::RuleOf(std::string_view name) {
  const auto [id, is_new] = ids_.try_emplace(name, static_cast<uint32_t>(names_.size()));
  if (is_new) {
    names_.emplace_back(name);
    first_use_.push_back(at_ - name.size());
    rules_.emplace_back();
  }
  return id->second;
}

Status Parser::ParseRule() {
  const std::string_view name = ParseName();
  if (name.empty()) return FailHere("a rule's name is expected, as in root ::= \"text\"");
  const uint32_t id = RuleOf(name);
  if (rules_[id]) return FailHere(fmt::format("the rule {} is defined twice", Quoted(name)));
  if (rules_.size() > kMaxGrammarRules) {
    return FailHere(fmt::format("there are more than {} rules", kMaxGrammarRules));
  }
  SkipSpace(false);
  if (!Take("::=")) return FailHere(fmt::format("\"::=\" is expected after {}", Quoted(name)));
  SkipSpace(true);
  Node node;
  TRY_OK(ParseChoice(0, &node));
  rules_[id] = std::move(node);
  if (!AtEnd() && Peek() != '\n' && Peek() != '\r') {
    return FailHere("the end of the rule is expected: start the next one on a new line");
  }
  SkipSpace(true);
  return {};
}

Status Parser::ParseChoice(size_t depth, Node* node) {
  if (depth > kMaxGrammarNesting) {
    return FailHere(fmt::format("parentheses are nested more than {} deep", kMaxGrammarNesting));
  }
  std::vector<Node> items;
  while (true) {
    TRY_OK(ParseSequence(depth, &items.emplace_back()));
    const size_t end = at_;
    SkipSpace(true);  // an alternative may also begin the next line
    if (Peek() != '|') {
      if (depth == 0) at_ = end;
      break;
    }
    ++at_;
    SkipSpace(true);
  }
  *node = Collected(Node::Kind::kChoice, std::move(items));
  return {};
}

Status Parser::ParseSequence(size_t depth, Node* node) {
  std::vector<Node> items;
  const bool nested = depth > 0;
  while (!AtEnd() && Peek() != '|' && Peek() != ')' && Peek() != '\n' && Peek() != '\r') {
    Node& item = items.emplace_back();
    const size_t begin = at_;
    TRY_OK(ParseItem(depth, &item));
    TRY_OK(Spend(meter_, kNodeCost + kByteCost * (at_ - begin)));
    SkipSpace(nested);
    while (std::string_view("*+?{").find(Peek()) != std::string_view::npos && !AtEnd()) {
      TRY_OK(ParseRepetitions(&item));
      SkipSpace(nested);
    }
  }
  *node = Collected(Node::Kind::kSequence, std::move(items));
  return {};
}

Status Parser::ParseItem(size_t depth, Node* node) {
  const char c = Peek();
  if (c == '"') return ParseLiteral(node);
  if (c == '[') return ParseClass(node);
  if (c == '.') {
    ++at_;
    node->kind = Node::Kind::kClass;
    node->ranges = Normalized({{0, kMaxCodePoint}});
    return {};
  }
  if (c == '(') {
    ++at_;
    SkipSpace(true);
    TRY_OK(ParseChoice(depth + 1, node));
    if (!Take(")")) return FailHere("\")\" is expected");
    return {};
  }
  if (IsNameChar(c)) {
    node->kind = Node::Kind::kRule;
    node->rule = RuleOf(ParseName());
    return {};
  }
  if (c == '<' || c == '!') {
    return FailHere(
        "references to tokens, such as <think> or <[7]>, are not supported; write the "
        "token's text as a literal");
  }
  return FailHere("a literal, a class, a rule's name or \"(\" is expected");
}

Status Parser::ParseLiteral(Node* node) {
  ++at_;
  node->kind = Node::Kind::kLiteral;
  while (Peek() != '"' || AtEnd()) {
    if (AtEnd()) return FailHere("a literal has no closing quote");
    uint32_t code;
    TRY_OK(ParseChar(&code));
    AppendUtf8(code, &node->bytes);
  }
  ++at_;
  return {};
}

Status Parser::ParseClass(Node* node) {
  ++at_;
  node->kind = Node::Kind::kClass;
  const bool negated = Take("^");
  std::vector<CodeRange> ranges;
  while (Peek() != ']' || AtEnd()) {
    if (AtEnd()) return FailHere("a class has no closing bracket");
    CodeRange range;
    TRY_OK(ParseChar(&range.low));
    range.high = range.low;
    if (Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
      ++at_;
      TRY_OK(ParseChar(&range.high));
      if (range.high < range.low) return FailHere("a range of a class ends before it begins");
    }
    ranges.push_back(range);
  }
  ++at_;
  node->ranges = Normalized(ranges);
  if (negated) node->ranges = Complement(node->ranges);
  return {};
}

Status Parser::ParseChar(uint32_t* code) {
  if (Peek() != '\\') {
    *code = FirstCodePoint(text_.substr(at_));
    at_ += CharacterLength(text_.substr(at_));
    return {};
  }
  ++at_;
  if (AtEnd()) return FailHere("the grammar ends after a backslash");
  const char c = text_[at_++];
  switch (c) {
    case 'x':
      return ParseHex(2, code);
    case 'u':
      return ParseHex(4, code);
    case 'U':
      return ParseHex(8, code);
    case 'n':
      *code = '\n';
      return {};
    case 'r':
      *code = '\r';
      return {};
    case 't':
      *code = '\t';
      return {};
    case '\\':
    case '"':
    case '[':
    case ']':
      *code = static_cast<uint8_t>(c);
      return {};
    default:
      return FailHere(
          "an unknown escape; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\xHH \\uHHHH "
          "\\UHHHHHHHH");
  }
}

Status Parser::ParseHex(size_t digits, uint32_t* code) {
  *code = 0;
  for (size_t i = 0; i < digits; ++i) {
    const char c = Peek();
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (value < 0) return FailHere(fmt::format("{} hexadecimal digits are expected", digits));
    *code = *code << 4 | static_cast<uint32_t>(value);
    ++at_;
  }
  if (!IsCodePoint(*code)) return FailHere("an escape names no character of Unicode");
  return {};
}

Status Parser::ParseCount(uint32_t* count) {
  if (Peek() < '0' || Peek() > '9') return FailHere("a number is expected, as in {2,5}");
  uint64_t value = 0;
  while (Peek() >= '0' && Peek() <= '9') {
    value = std::min(value * 10 + static_cast<uint64_t>(Peek() - '0'), kMaxRepetition);
    ++at_;
  }
  *count = static_cast<uint32_t>(value);
  SkipSpace(false);
  return {};
}

Status Parser::ParseRepetitions(Node* node) {
  Node repeat;
  repeat.kind = Node::Kind::kRepeat;
  repeat.max = Node::kUnlimited;
  const char c = text_[at_++];
  if (c == '+') repeat.min = 1;
  if (c == '?') repeat.max = 1;
  if (c == '{') {
    SkipSpace(false);
    TRY_OK(ParseCount(&repeat.min));
    if (Take(",")) {
      SkipSpace(false);
      if (Peek() != '}') TRY_OK(ParseCount(&repeat.max));
    } else {
      repeat.max = repeat.min;
    }
    if (!Take("}")) return FailHere("\"}\" is expected");
    if (repeat.max < repeat.min) return FailHere("a repetition's maximum is below its minimum");
  }
  repeat.height = node->height + 1;
  repeat.items.push_back(std::move(*node));
  *node = std::move(repeat);
  if (node->height <= kMaxGrammarHeight) return {};
  return FailHere(
      fmt::format("repetitions are nested too deeply: more than {} levels with the "
                  "parentheses, choices and sequences inside of them",
                  kMaxGrammarHeight));
}

Result<std::shared_ptr<const Grammar>> Parser::Parse() {
  if (text_.size() > kMaxGrammarBytes) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the grammar has {} bytes, more than the {} allowed", text_.size(),
                            kMaxGrammarBytes),
                "grammar");
  }
  if (!IsUtf8(text_)) {
    return Fail(ErrorKind::kInvalidArgument, "the grammar is not valid UTF-8", "grammar");
  }
  SkipSpace(true);
  while (!AtEnd()) TRY_OK(ParseRule());
  std::vector<Node> rules;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!rules_[i]) {
      at_ = first_use_[i];
      return FailHere(
          fmt::format("the rule {} is used here, but defined nowhere", Quoted(names_[i])));
    }
    rules.push_back(std::move(*rules_[i]));
  }
  const auto root = ids_.find(root_);
  if (root == ids_.end()) {
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("the grammar has no rule \"{}\", which is where the text begins", root_),
        "grammar");
  }
  return GrammarCompiler::Compile(names_, rules, root->second, meter_);
}

}  // namespace

Result<std::shared_ptr<const Grammar>> ParseGbnf(std::string_view text, std::string_view root,
                                                 WorkMeter* meter) {
  return Parser(text, root, meter).Parse();
}

}  // namespace lockstep
