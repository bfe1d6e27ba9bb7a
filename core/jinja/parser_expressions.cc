// Expressions: recursive descent with a function for each level of precedence, loosest first, in
// the order of jinja2's parser:
//   a if b else c, or, and, not, == < in ..., + -, ~, * / // %, **, | is, unary - +, . [] ()
// jinja2 is not Python here, and templates depend on it: "**" is left-associative, "-2 ** 2" is 4,
// and "~" binds tighter than "+".
#include <algorithm>

#include "core/base/quoted.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/parser.h"

namespace lockstep::jinja {
namespace {

// What the parser reads in a loop ("a.b.c", "a + b + c") nests the tree and not the parser, so that
// kMaxNesting does not bound it. The limit is below TemplateLimits::depth, so that an expression by
// itself cannot reach that.
constexpr int kMaxHeight = 300;

constexpr NamedOperator kComparisons[] = {
    {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
    {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual}};
constexpr NamedOperator kSums[] = {{"+", Operator::kAdd}, {"-", Operator::kSubtract}};
constexpr NamedOperator kProducts[] = {{"*", Operator::kMultiply},
                                       {"/", Operator::kDivide},
                                       {"//", Operator::kFloorDivide},
                                       {"%", Operator::kModulo}};
constexpr NamedOperator kPowers[] = {{"**", Operator::kPower}};

const NamedOperator* FindIn(std::span<const NamedOperator> operators, const Token& token) {
  if (token.kind != Token::Kind::kOperator) return nullptr;
  for (const NamedOperator& candidate : operators) {
    if (candidate.text == token.text) return &candidate;
  }
  return nullptr;
}

int HeightOf(const ExprPtr& expr) { return expr == nullptr ? 0 : expr->height; }

}  // namespace

std::string UnknownBuiltin(const Expr& expr) {
  return fmt::format("unknown {} {}", expr.kind == Expr::Kind::kFilter ? "filter" : "test",
                     Quoted(expr.name));
}

std::unique_ptr<Expr> Parser::New(Expr::Kind kind, int line, ExprPtr first, ExprPtr second) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  if (first != nullptr) expr->operands.push_back(std::move(first));
  if (second != nullptr) expr->operands.push_back(std::move(second));
  return expr;
}

ExprPtr Parser::Done(std::unique_ptr<Expr> expr) const {
  int below = std::max(HeightOf(expr->arguments.spread), HeightOf(expr->arguments.spread_named));
  for (const ExprPtr& operand : expr->operands) below = std::max(below, HeightOf(operand));
  for (const ExprPtr& value : expr->arguments.positional) below = std::max(below, HeightOf(value));
  for (const Keyword& keyword : expr->arguments.named) {
    below = std::max(below, HeightOf(keyword.value));
  }
  expr->height = below + 1;
  if (expr->height > kMaxHeight) {
    FailAt(expr->line, fmt::format("an expression has more than {} steps in a row", kMaxHeight));
  }
  return expr;
}

// Operands are in the order of Expr::Kind::kConditional: value, condition, else. As in an if block,
// unknown filters in any of them wait for the run.
ExprPtr Parser::ParseExpression() {
  const Nested nested(this);
  const size_t unknown = unknown_.size();
  ExprPtr value = ParseOr();
  while (SkipName("if")) {
    auto expr = New(Expr::Kind::kConditional, Now().line, std::move(value), ParseOr());
    expr->operands.push_back(SkipName("else") ? ParseExpression() : nullptr);
    value = Done(std::move(expr));
    unknown_.resize(unknown);
  }
  return value;
}

bool Parser::AtTupleEnd() const {
  return Now().kind == Kind::kVariableEnd || Now().kind == Kind::kBlockEnd || IsOperator(")");
}

// One expression, or several with commas between or behind them. Nothing at all is a tuple too,
// but only in parentheses.
ExprPtr Parser::ParseTuple(bool conditionals, bool parentheses) {
  const int line = Now().line;
  auto tuple = New(Expr::Kind::kTuple, line);
  bool is_tuple = false;
  while (!AtTupleEnd()) {
    tuple->operands.push_back(conditionals ? ParseExpression() : ParseOr());
    if (!SkipOperator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !tuple->operands.empty()) return std::move(tuple->operands[0]);
  if (!is_tuple && !parentheses) FailExpected("an expression");
  return Done(std::move(tuple));
}

// One node, so that a long row does not get high.
template <class Skip, class Operand>
ExprPtr Parser::ParseRow(Expr::Kind kind, const Skip& skip, const Operand& operand) {
  ExprPtr first = operand();
  const int line = first->line;
  auto row = New(kind, line, std::move(first));
  while (skip()) row->operands.push_back(operand());
  return row->operands.size() == 1 ? std::move(row->operands[0]) : Done(std::move(row));
}

ExprPtr Parser::ParseOr() {
  return ParseRow(
      Expr::Kind::kOr, [this] { return SkipName("or"); }, [this] { return ParseAnd(); });
}

ExprPtr Parser::ParseAnd() {
  return ParseRow(
      Expr::Kind::kAnd, [this] { return SkipName("and"); }, [this] { return ParseNot(); });
}

// "not a == b" is "not (a == b)".
ExprPtr Parser::ParseNot() {
  const Nested nested(this);
  if (!IsName("not")) return ParseCompare();
  const int line = Next().line;
  return Done(New(Expr::Kind::kNot, line, ParseNot()));
}

// "a < b < c" is one comparison in Python: it means "a < b and b < c" with b evaluated once.
ExprPtr Parser::ParseCompare() {
  auto expr = New(Expr::Kind::kCompare, Now().line, ParseSum());
  while (true) {
    const bool not_in = IsName("not") && Ahead().kind == Kind::kName && Ahead().text == "in";
    if (const NamedOperator* op = FindIn(kComparisons, Now())) {
      expr->operators.push_back(op->op);
    } else if (not_in || IsName("in")) {
      expr->operators.push_back(not_in ? Operator::kNotIn : Operator::kIn);
    } else {
      break;
    }
    Next();
    if (not_in) Next();
    expr->operands.push_back(ParseSum());
  }
  return expr->operators.empty() ? std::move(expr->operands[0]) : Done(std::move(expr));
}

template <class Operand>
ExprPtr Parser::ParseLeft(std::span<const NamedOperator> operators, const Operand& operand) {
  ExprPtr left = operand();
  while (const NamedOperator* op = FindIn(operators, Now())) {
    const int line = Next().line;
    auto expr = New(Expr::Kind::kArithmetic, line, std::move(left), operand());
    expr->operators.push_back(op->op);
    left = Done(std::move(expr));
  }
  return left;
}

ExprPtr Parser::ParseSum() {
  return ParseLeft(kSums, [this] { return ParseConcat(); });
}

ExprPtr Parser::ParseConcat() {
  return ParseRow(
      Expr::Kind::kConcat, [this] { return SkipOperator("~"); }, [this] { return ParseProduct(); });
}

ExprPtr Parser::ParseProduct() {
  return ParseLeft(kProducts, [this] { return ParsePower(); });
}

// jinja2 takes powers from the left, unlike Python.
ExprPtr Parser::ParsePower() {
  return ParseLeft(kPowers, [this] { return ParseUnary(true); });
}

ExprPtr Parser::ParseUnary(bool with_filters) {
  const Nested nested(this);
  const int line = Now().line;
  ExprPtr value;
  if (SkipOperator("-")) {
    value = Done(New(Expr::Kind::kNegative, line, ParseUnary(false)));
  } else if (SkipOperator("+")) {
    value = Done(New(Expr::Kind::kPositive, line, ParseUnary(false)));
  } else {
    value = ParsePrimary();
  }
  value = ParsePostfix(std::move(value));
  return with_filters ? ParseFilters(std::move(value)) : std::move(value);
}

ExprPtr Parser::ParsePrimary() {
  const Token token = Now();
  auto literal = New(Expr::Kind::kLiteral, token.line);
  switch (token.kind) {
    case Kind::kName:
      Next();
      if (token.text == "true" || token.text == "True") {
        literal->value = Value::Bool(true);
      } else if (token.text == "false" || token.text == "False") {
        literal->value = Value::Bool(false);
      } else if (token.text == "none" || token.text == "None") {
        literal->value = Value::Null();
      } else {
        return NameOf(token);
      }
      return literal;
    case Kind::kString: {
      std::string text;
      // Python joins strings that stand side by side: 'a' 'b' is 'ab'.
      while (Now().kind == Kind::kString) text += Next().text;
      literal->value = Literal(text);
      return literal;
    }
    case Kind::kInteger:
      literal->value = Value::Integer(Next().text);
      return literal;
    case Kind::kFloat:
      literal->value = Value::Float(Next().real);
      return literal;
    default:
      break;
  }
  if (SkipOperator("(")) {
    ExprPtr value = ParseTuple(true, true);
    ExpectOperator(")");
    return value;
  }
  if (SkipOperator("[")) {
    auto list = New(Expr::Kind::kList, token.line);
    while (!IsOperator("]")) {
      list->operands.push_back(ParseExpression());
      if (!SkipOperator(",")) break;
    }
    ExpectOperator("]");
    return Done(std::move(list));
  }
  if (SkipOperator("{")) return ParseDict();
  FailExpected("an expression");
}

ExprPtr Parser::ParseDict() {
  auto dict = New(Expr::Kind::kDict, Now().line);
  while (!IsOperator("}")) {
    dict->operands.push_back(ParseExpression());
    ExpectOperator(":");
    dict->operands.push_back(ParseExpression());
    if (!SkipOperator(",")) break;
  }
  ExpectOperator("}");
  return Done(std::move(dict));
}

// "x.0" is x[0] in jinja2, and so the lexer makes two integers of "x.0.1" rather than a float.
ExprPtr Parser::ParsePostfix(ExprPtr operand) {
  while (true) {
    const int line = Now().line;
    if (IsOperator("(")) {
      auto call = New(Expr::Kind::kCall, line, std::move(operand));
      call->arguments = ParseArguments();
      operand = Done(std::move(call));
    } else if (SkipOperator("[")) {
      operand = ParseSubscript(std::move(operand));
    } else if (SkipOperator(".")) {
      const Token name = Next();
      if (name.kind == Kind::kInteger) {
        auto index = New(Expr::Kind::kLiteral, line);
        index->value = Value::Integer(name.text);
        operand = Done(New(Expr::Kind::kItem, line, std::move(operand), Done(std::move(index))));
        continue;
      }
      if (name.kind != Kind::kName) FailAt(line, "expected the name of an attribute behind '.'");
      auto attribute = New(Expr::Kind::kAttribute, line, std::move(operand));
      attribute->name = name.text;
      operand = Done(std::move(attribute));
    } else {
      return operand;
    }
  }
}

// The parts of [begin:end:step] that are missing are null.
ExprPtr Parser::ParseSubscript(ExprPtr operand) {
  const int line = Now().line;
  ExprPtr begin = IsOperator(":") ? nullptr : ParseExpression();
  if (begin != nullptr && SkipOperator("]")) {
    return Done(New(Expr::Kind::kItem, line, std::move(operand), std::move(begin)));
  }
  if (begin != nullptr && IsOperator(",")) {  // x[1, 2] looks a tuple up
    auto tuple = New(Expr::Kind::kTuple, line, std::move(begin));
    while (SkipOperator(",") && !IsOperator("]")) tuple->operands.push_back(ParseExpression());
    ExpectOperator("]");
    return Done(New(Expr::Kind::kItem, line, std::move(operand), Done(std::move(tuple))));
  }
  auto slice = New(Expr::Kind::kSlice, line, std::move(operand));
  slice->operands.push_back(std::move(begin));
  for (int part = 0; part < 2; ++part) {
    const bool given = SkipOperator(":") && !IsOperator(":") && !IsOperator("]");
    slice->operands.push_back(given ? ParseExpression() : nullptr);
  }
  ExpectOperator("]");
  return Done(std::move(slice));
}

// These bind tighter than any operator with two sides: "a + b | f" is "a + (b | f)".
ExprPtr Parser::ParseFilters(ExprPtr operand) {
  while (true) {
    if (SkipOperator("|")) {
      operand = ParseFilter(std::move(operand));
    } else if (SkipName("is")) {
      operand = ParseTest(std::move(operand));
    } else if (IsOperator("(")) {  // calls bind to what filters return, too
      auto call = New(Expr::Kind::kCall, Now().line, std::move(operand));
      call->arguments = ParseArguments();
      operand = Done(std::move(call));
    } else {
      return operand;
    }
  }
}

// An unknown name is noted only. Whoever has read a scope to its end throws by FailUnknown, unless
// it stood under a condition.
const Builtin* Parser::Find(const Expr& expr) {
  const bool filter = expr.kind == Expr::Kind::kFilter;
  const Builtin* found = filter ? FindFilter(expr.name) : FindTest(expr.name);
  if (found == nullptr) unknown_.push_back({UnknownBuiltin(expr), expr.line});
  return found;
}

void Parser::FailUnknown(size_t since) const {
  if (unknown_.size() > since) throw unknown_[since];
}

ExprPtr Parser::ParseFilter(ExprPtr operand) {
  auto filter = New(Expr::Kind::kFilter, Now().line, std::move(operand));
  filter->name = ExpectAnyName("the name of a filter");
  filter->builtin = Find(*filter);
  if (IsOperator("(")) filter->arguments = ParseArguments();
  return Done(std::move(filter));
}

// An argument needs no parentheses: "x is divisibleby 3". jinja2's rule for where one begins is
// kept, so that any word but else, or and and is an argument: "a is defined if b" does not parse,
// there as here.
ExprPtr Parser::ParseTest(ExprPtr operand) {
  const int line = Now().line;
  const bool negated = SkipName("not");
  auto test = New(Expr::Kind::kTest, line, std::move(operand));
  test->name = ExpectAnyName("the name of a test");
  test->builtin = Find(*test);
  const bool word = Now().kind == Kind::kName && !IsName("else") && !IsName("or") && !IsName("and");
  if (IsOperator("(")) {
    test->arguments = ParseArguments();
  } else if (word || Now().kind == Kind::kString || Now().kind == Kind::kInteger ||
             Now().kind == Kind::kFloat || IsOperator("[") || IsOperator("{")) {
    test->arguments.positional.push_back(ParsePostfix(ParsePrimary()));
  }
  ExprPtr value = Done(std::move(test));
  return negated ? Done(New(Expr::Kind::kNot, line, std::move(value))) : std::move(value);
}

// "name =" begins a named argument; "==" is a token of its own, and so no trouble.
CallArguments Parser::ParseArguments() {
  CallArguments arguments;
  ExpectOperator("(");
  while (!IsOperator(")")) {
    const int line = Now().line;
    if (SkipOperator("**")) {
      if (arguments.spread_named != nullptr) FailAt(line, "a call has '**' twice");
      arguments.spread_named = ParseExpression();
    } else if (SkipOperator("*")) {
      if (arguments.spread != nullptr) FailAt(line, "a call has '*' twice");
      arguments.spread = ParseExpression();
    } else if (Now().kind == Kind::kName && Ahead().kind == Kind::kOperator &&
               Ahead().text == "=") {
      const std::string name = Next().text;
      Next();
      arguments.named.push_back({name, ParseExpression()});
    } else {
      if (!arguments.named.empty() || arguments.spread != nullptr) {
        FailAt(line, "positional arguments must come before named ones");
      }
      arguments.positional.push_back(ParseExpression());
    }
    if (!SkipOperator(",")) break;
  }
  ExpectOperator(")");
  return arguments;
}

}  // namespace lockstep::jinja
