// Builds the syntax tree of a template, by recursive descent.
#pragma once

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/jinja/ast.h"
#include "core/jinja/failure.h"
#include "core/jinja/lexer.h"

namespace lockstep::jinja {

struct NamedOperator {
  std::string_view text;
  Operator op;
};

class Parser {
 public:
  explicit Parser(std::string_view source);  // throws Failure, as Run does. REQUIRES: UTF-8
  Program Run();

 private:
  using Kind = Token::Kind;
  using Words = std::initializer_list<std::string_view>;

  // Counts how deep the parser is in its own calls: they must not exhaust the stack.
  class Nested {
   public:
    explicit Nested(Parser* parser);
    ~Nested() { --parser_->nesting_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Parser* const parser_;
  };

  const Token& Now() const { return tokens_[at_]; }
  const Token& Ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token Next();
  bool IsName(std::string_view word) const;
  bool IsOperator(std::string_view what) const;
  bool SkipName(std::string_view word);
  bool SkipOperator(std::string_view what);
  void ExpectOperator(std::string_view what);
  void ExpectName(std::string_view word);
  std::string ExpectAnyName(std::string_view what);
  void Expect(Kind kind, std::string_view what);
  // Notes in all macros around that their bodies have the name.
  ExprPtr NameOf(const Token& token);
  int Slot(const std::string& name);  // a name has one slot, wherever it stands
  [[noreturn]] void FailExpected(std::string_view what) const;
  [[noreturn]] void FailAt(int line, std::string message) const;

  // Statements: parser.cc.
  Block ParseBlock(Words ends, std::string_view opened, int line);  // stops before the name of one
  Block ParseBody(std::string_view end, std::string_view opened, int line);  // and behind its tag
  std::unique_ptr<Stmt> ParseStatement();
  std::unique_ptr<Stmt> ParseFor(int line);
  std::unique_ptr<Stmt> ParseIf(int line);
  std::unique_ptr<Stmt> ParseSet(int line);
  std::unique_ptr<Stmt> ParseMacro(int line);
  std::unique_ptr<Stmt> ParseCallBlock(int line);
  std::unique_ptr<Stmt> ParseFilterBlock(int line);
  // The filters in the tag of a block, the first one with no "|" before it if it is `bare`, and the
  // block.
  void ParseFiltered(Stmt* stmt, bool bare, std::string_view word, int line);
  std::unique_ptr<Stmt> ParseWith(int line);
  void ParseSignature(Macro* macro);
  void ParseMacroBody(Macro* macro, std::string_view end, int line);
  // `attributes`: "ns.x" may be set, as in {% set %} alone.
  ExprPtr ParseTarget(bool attributes);

  // Expressions: parser_expressions.cc.
  ExprPtr ParseExpression();  // with "a if b else c"
  // `conditionals`: "a if b else c" may be a part. In a loop's head it may not, since the "if"
  // there belongs to the loop. `parentheses`: "()" is the empty tuple.
  ExprPtr ParseTuple(bool conditionals, bool parentheses = false);
  bool AtTupleEnd() const;
  ExprPtr ParseOr();
  ExprPtr ParseAnd();
  ExprPtr ParseNot();
  ExprPtr ParseCompare();
  // Operands between which `skip` finds one operator: one node with all of them.
  template <class Skip, class Operand>
  ExprPtr ParseRow(Expr::Kind kind, const Skip& skip, const Operand& operand);
  // Operands with some of these operators between them, grouped from the left.
  template <class Operand>
  ExprPtr ParseLeft(std::span<const NamedOperator> operators, const Operand& operand);
  ExprPtr ParseSum();
  ExprPtr ParseConcat();
  ExprPtr ParseProduct();
  ExprPtr ParsePower();
  // `with_filters` is false behind a sign: "-x | abs" is "(-x) | abs".
  ExprPtr ParseUnary(bool with_filters);
  ExprPtr ParsePrimary();
  ExprPtr ParseDict();
  ExprPtr ParsePostfix(ExprPtr operand);
  ExprPtr ParseSubscript(ExprPtr operand);
  ExprPtr ParseFilters(ExprPtr operand);  // and tests
  ExprPtr ParseFilter(ExprPtr operand);   // behind "|"
  ExprPtr ParseTest(ExprPtr operand);     // behind "is"
  CallArguments ParseArguments();
  const Builtin* Find(const Expr& filter_or_test);
  void FailUnknown(size_t since) const;

  // An expression begins with New and must end with Done, unless it has no operands: one that Done
  // has not measured counts as of height 1.
  static std::unique_ptr<Expr> New(Expr::Kind kind, int line, ExprPtr first = nullptr,
                                   ExprPtr second = nullptr);
  ExprPtr Done(std::unique_ptr<Expr> expr) const;  // measures its height

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  int loops_ = 0;               // around this place, within its macro
  std::vector<Macro*> macros_;  // whose bodies are being read
  // Unknown filters and tests. As in jinja2, those under a condition are refused only when they
  // run, so that a template can ask for what it knows; a scope within the condition is strict
  // again.
  std::vector<Failure> unknown_;
  std::map<std::string, int> slots_;
  Program program_;
};

}  // namespace lockstep::jinja
