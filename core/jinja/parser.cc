// Statements, and the parser's way through the tokens. Each ParseX stands behind the first word of
// what it parses. As in jinja2 what a name means is not known here, save one thing: each name gets
// a number, its slot, by which a running template finds it without comparing any text.
#include "core/jinja/parser.h"

#include <algorithm>

#include "core/base/quoted.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/failure.h"

namespace lockstep::jinja {
namespace {

// The stack bounds it. A function counts if it has a Nested; a pair of brackets passes
// ParseExpression, ParseNot and ParseUnary.
constexpr int kMaxNesting = 300;  // calls of the functions that count; a bracket takes three

std::string Described(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kEnd:
      return "the end of the template";
    case Token::Kind::kText:
      return "text outside tags";
    case Token::Kind::kVariableBegin:
    case Token::Kind::kVariableEnd:
    case Token::Kind::kBlockBegin:
    case Token::Kind::kBlockEnd:
      return token.text;
    case Token::Kind::kString:
      return "the string " + Quoted(token.text, 40);
    default:
      return Quoted(token.text, 40);
  }
}

std::unique_ptr<Stmt> NewStmt(Stmt::Kind kind, int line) {
  auto stmt = std::make_unique<Stmt>();
  stmt->kind = kind;
  stmt->line = line;
  return stmt;
}

}  // namespace

// The interpreter's own names come first, so that their slots are the numbers of OwnSlot.
Parser::Parser(std::string_view source) : tokens_(Tokenize(source)) {
  for (const auto name : kOwnNames) Slot(name);
}

Parser::Nested::Nested(Parser* parser) : parser_(parser) {
  if (++parser_->nesting_ > kMaxNesting) {
    --parser_->nesting_;
    parser_->FailAt(parser_->Now().line,
                    fmt::format("tags or brackets are nested more than {} deep", kMaxNesting / 3));
  }
}

// The last token, kEnd, is never passed, so that Now() always has one.
Token Parser::Next() {
  Token token = Now();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::IsName(std::string_view word) const {
  return Now().kind == Kind::kName && Now().text == word;
}
bool Parser::IsOperator(std::string_view what) const {
  return Now().kind == Kind::kOperator && Now().text == what;
}
bool Parser::SkipName(std::string_view word) {
  if (!IsName(word)) return false;
  Next();
  return true;
}
bool Parser::SkipOperator(std::string_view what) {
  if (!IsOperator(what)) return false;
  Next();
  return true;
}
void Parser::ExpectOperator(std::string_view what) {
  if (!SkipOperator(what)) FailExpected(fmt::format("'{}'", what));
}
void Parser::ExpectName(std::string_view word) {
  if (!SkipName(word)) FailExpected(fmt::format("'{}'", word));
}
std::string Parser::ExpectAnyName(std::string_view what) {
  if (Now().kind != Kind::kName) FailExpected(what);
  return Next().text;
}
void Parser::Expect(Kind kind, std::string_view what) {
  if (Now().kind != kind) FailExpected(what);
  Next();
}
void Parser::FailExpected(std::string_view what) const {
  FailAt(Now().line, fmt::format("expected {}, found {}", what, Described(Now())));
}
void Parser::FailAt(int line, std::string message) const {
  throw Failure{std::move(message), line};
}

int Parser::Slot(const std::string& name) {
  const auto [at, added] = slots_.try_emplace(name, static_cast<int>(program_.names.size()));
  if (added) program_.names.push_back(name);
  return at->second;
}

// jinja2 looks for the three names in a macro's whole body, macros inside it included, and so does
// this.
ExprPtr Parser::NameOf(const Token& token) {
  auto expr = New(Expr::Kind::kName, token.line);
  expr->name = token.text;
  expr->slot = Slot(token.text);
  for (Macro* macro : macros_) {
    macro->uses_caller = macro->uses_caller || token.text == "caller";
    macro->uses_varargs = macro->uses_varargs || token.text == "varargs";
    macro->uses_kwargs = macro->uses_kwargs || token.text == "kwargs";
  }
  return Done(std::move(expr));
}

Program Parser::Run() {
  program_.body = ParseBlock({}, "", 1);
  FailUnknown(0);
  return std::move(program_);
}

// Without `ends` the block is the whole template.
Block Parser::ParseBlock(Words ends, std::string_view opened, int line) {
  const Nested nested(this);
  Block block;
  while (Now().kind != Kind::kEnd) {
    const int here = Now().line;
    if (Now().kind == Kind::kText) {
      block.push_back(NewStmt(Stmt::Kind::kText, here));
      // What stands in the template is the model's own, hence trusted.
      const_cast<Stmt&>(*block.back()).text = Text(Next().text, true);
    } else if (Now().kind == Kind::kVariableBegin) {
      Next();
      auto print = NewStmt(Stmt::Kind::kPrint, here);
      print->value = ParseTuple(true);
      Expect(Kind::kVariableEnd, "'}}'");
      block.push_back(std::move(print));
    } else {
      Expect(Kind::kBlockBegin, "'{%'");
      if (std::any_of(ends.begin(), ends.end(), [&](auto end) { return IsName(end); })) {
        return block;
      }
      auto stmt = ParseStatement();
      Expect(Kind::kBlockEnd, "'%}'");
      block.push_back(std::move(stmt));
    }
  }
  if (ends.size() != 0) FailAt(line, fmt::format("{{% {} %}} has no end", opened));
  return block;
}

// A statement's last tag stays open, at its "%}": whoever reads statements closes it.
Block Parser::ParseBody(std::string_view end, std::string_view opened, int line) {
  Expect(Kind::kBlockEnd, "'%}'");
  Block block = ParseBlock({end}, opened, line);
  Next();
  return block;
}

std::unique_ptr<Stmt> Parser::ParseStatement() {
  const int line = Now().line;
  const std::string tag = ExpectAnyName("the name of a tag");
  if (tag == "for") return ParseFor(line);
  if (tag == "if") return ParseIf(line);
  if (tag == "set") return ParseSet(line);
  if (tag == "macro") return ParseMacro(line);
  if (tag == "call") return ParseCallBlock(line);
  if (tag == "filter") return ParseFilterBlock(line);
  if (tag == "with") return ParseWith(line);
  if (tag == "generation") {  // marks what the model itself has said; for training only
    auto stmt = NewStmt(Stmt::Kind::kWith, line);
    stmt->body = ParseBody("endgeneration", tag, line);
    return stmt;
  }
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) FailAt(line, fmt::format("{{% {} %}} stands outside any loop", tag));
    return NewStmt(tag == "break" ? Stmt::Kind::kBreak : Stmt::Kind::kContinue, line);
  }
  if (tag == "print") {
    auto stmt = NewStmt(Stmt::Kind::kPrint, line);
    // What print writes is "a ~ b".
    auto all = New(Expr::Kind::kConcat, line);
    while (Now().kind != Kind::kBlockEnd) {
      if (!all->operands.empty()) ExpectOperator(",");
      all->operands.push_back(ParseExpression());
    }
    stmt->value = Done(std::move(all));
    return stmt;
  }
  const bool closes = tag.starts_with("end") || tag == "else" || tag == "elif";
  FailAt(line, closes ? fmt::format("{{% {} %}} closes nothing that is open here", Escaped(tag))
                      : fmt::format("unknown tag {}", Quoted(tag)));
}

// The form is {% for target in value if test recursive %} body {% else %} otherwise {% endfor %}
std::unique_ptr<Stmt> Parser::ParseFor(int line) {
  auto stmt = NewStmt(Stmt::Kind::kFor, line);
  stmt->target = ParseTarget(false);
  ExpectName("in");
  stmt->value = ParseTuple(false);
  const size_t unknown = unknown_.size();
  if (SkipName("if")) stmt->test = ParseExpression();
  stmt->recursive = SkipName("recursive");
  Expect(Kind::kBlockEnd, "'%}'");
  ++loops_;
  stmt->body = ParseBlock({"endfor", "else"}, "for", line);
  --loops_;
  if (Next().text == "else") stmt->otherwise = ParseBody("endfor", "for", line);
  FailUnknown(unknown);
  return stmt;
}

// jinja2 forgives unknown filters in the conditions as well as in what depends on them.
std::unique_ptr<Stmt> Parser::ParseIf(int line) {
  auto stmt = NewStmt(Stmt::Kind::kIf, line);
  const size_t unknown = unknown_.size();
  for (bool more = true; more;) {
    ExprPtr condition = ParseTuple(false);
    Expect(Kind::kBlockEnd, "'%}'");
    stmt->branches.emplace_back(std::move(condition),
                                ParseBlock({"elif", "else", "endif"}, "if", line));
    const std::string next = Next().text;
    more = next == "elif";
    if (next == "else") stmt->branches.emplace_back(nullptr, ParseBody("endif", "if", line));
  }
  unknown_.resize(unknown);
  return stmt;
}

// {% set a = 1 %}, or the block form {% set a | filter %}text{% endset %}.
std::unique_ptr<Stmt> Parser::ParseSet(int line) {
  auto stmt = NewStmt(Stmt::Kind::kSet, line);
  stmt->target = ParseTarget(true);
  if (SkipOperator("=")) {
    stmt->value = ParseTuple(true);
    return stmt;
  }
  stmt->kind = Stmt::Kind::kSetBlock;
  ParseFiltered(stmt.get(), /*bare=*/false, "set", line);
  return stmt;
}

// An example is {% filter upper | trim %}text{% endfilter %}.
std::unique_ptr<Stmt> Parser::ParseFilterBlock(int line) {
  auto stmt = NewStmt(Stmt::Kind::kFilter, line);
  ParseFiltered(stmt.get(), /*bare=*/true, "filter", line);
  return stmt;
}

void Parser::ParseFiltered(Stmt* stmt, bool bare, std::string_view word, int line) {
  const size_t unknown = unknown_.size();
  ExprPtr value = Done(New(Expr::Kind::kBlockText, line));
  if (bare) value = ParseFilter(std::move(value));
  while (SkipOperator("|")) value = ParseFilter(std::move(value));
  stmt->value = std::move(value);
  stmt->body = ParseBody("end" + std::string(word), word, line);
  FailUnknown(unknown);
}

// An example is {% with a = 1, b = 2 %}text{% endwith %}.
std::unique_ptr<Stmt> Parser::ParseWith(int line) {
  auto stmt = NewStmt(Stmt::Kind::kWith, line);
  while (Now().kind != Kind::kBlockEnd) {
    if (!stmt->assignments.empty()) ExpectOperator(",");
    ExprPtr target = ParseTarget(false);
    ExpectOperator("=");
    stmt->assignments.emplace_back(std::move(target), ParseExpression());
  }
  const size_t unknown = unknown_.size();
  stmt->body = ParseBody("endwith", "with", line);
  FailUnknown(unknown);
  return stmt;
}

// It reads "(a, b=1)" of a macro or, for what its caller takes, of a call block.
void Parser::ParseSignature(Macro* macro) {
  const size_t unknown = unknown_.size();
  ExpectOperator("(");
  while (!IsOperator(")")) {
    if (!macro->parameters.empty()) ExpectOperator(",");
    if (IsOperator(")")) break;
    const int line = Now().line;
    const std::string name = ExpectAnyName("the name of a parameter");
    macro->parameters.push_back(name);
    macro->slots.push_back(Slot(name));
    ExprPtr value = SkipOperator("=") ? ParseExpression() : nullptr;
    if (value == nullptr && !macro->defaults.empty() && macro->defaults.back() != nullptr) {
      FailAt(line, fmt::format("the parameter {} needs a default, as the one before it has one",
                               Quoted(name)));
    }
    macro->defaults.push_back(std::move(value));
  }
  ExpectOperator(")");
  FailUnknown(unknown);
}

// A loop around a macro's definition is not around what the macro runs: break does not reach out.
void Parser::ParseMacroBody(Macro* macro, std::string_view end, int line) {
  const size_t unknown = unknown_.size();
  macros_.push_back(macro);
  const int loops = std::exchange(loops_, 0);
  macro->body = ParseBody(end, end.substr(3), line);
  loops_ = loops;
  macros_.pop_back();
  FailUnknown(unknown);
}

std::unique_ptr<Stmt> Parser::ParseMacro(int line) {
  auto stmt = NewStmt(Stmt::Kind::kMacro, line);
  auto macro = std::make_unique<Macro>();
  stmt->target = NameOf(Now());
  macro->name = ExpectAnyName("the name of the macro");
  ParseSignature(macro.get());
  ParseMacroBody(macro.get(), "endmacro", line);
  stmt->macro = std::move(macro);
  return stmt;
}

// An example is {% call(item) f(x) %}text{% endcall %}, where f gives caller() an item.
std::unique_ptr<Stmt> Parser::ParseCallBlock(int line) {
  auto stmt = NewStmt(Stmt::Kind::kCall, line);
  auto macro = std::make_unique<Macro>();
  macro->name = "caller";
  if (IsOperator("(")) ParseSignature(macro.get());
  stmt->value = ParseExpression();
  if (stmt->value->kind != Expr::Kind::kCall) FailAt(line, "{% call %} needs a call behind it");
  ParseMacroBody(macro.get(), "endcall", line);
  stmt->macro = std::move(macro);
  return stmt;
}

// What stands left of "=" or "in": names, tuples of them, and with `attributes` also "name.name".
ExprPtr Parser::ParseTarget(bool attributes) {
  const Nested nested(this);
  auto tuple = New(Expr::Kind::kTuple, Now().line);
  bool is_tuple = false;
  do {
    if (!tuple->operands.empty() && (IsName("in") || IsOperator("=") || IsOperator(")"))) break;
    if (SkipOperator("(")) {
      tuple->operands.push_back(ParseTarget(attributes));
      ExpectOperator(")");
    } else {
      const Token token = Now();
      ExpectAnyName("the name of a variable");
      for (const auto constant : {"true", "false", "none", "True", "False", "None"}) {
        if (token.text == constant) FailAt(token.line, token.text + " cannot be set");
      }
      ExprPtr target = NameOf(token);
      if (attributes && SkipOperator(".")) {
        auto attribute = New(Expr::Kind::kAttribute, token.line, std::move(target));
        attribute->name = ExpectAnyName("the name of an attribute");
        target = Done(std::move(attribute));
      }
      tuple->operands.push_back(std::move(target));
    }
    is_tuple = is_tuple || IsOperator(",");
  } while (SkipOperator(","));
  return is_tuple ? Done(std::move(tuple)) : std::move(tuple->operands[0]);
}

}  // namespace lockstep::jinja
