// The syntax tree of a template, which the parser builds and the renderer walks. Immutable once it
// is built, so any number of threads may run one at once.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/jinja/value.h"

namespace lockstep::jinja {

struct Builtin;
struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<const Expr>;
using Block = std::vector<std::unique_ptr<const Stmt>>;

struct Keyword {
  std::string name;
  ExprPtr value;
};

// f(a, b, key=c, *d, **e)
struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<Keyword> named;
  // jinja2 takes one of each at most.
  ExprPtr spread;        // *d, may be null
  ExprPtr spread_named;  // **e, may be null
};

// Symbol in interpreter_operators.cc lists their texts in this order.
enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

// One struct for all kinds: the renderer switches over `kind`, and only the fields that stand
// behind a kind below have a meaning for it.
struct Expr {
  enum class Kind {
    kLiteral,      // value
    kName,         // name, slot
    kList,         // operands
    kTuple,        // operands
    kDict,         // operands: key, value, key, value, ...
    kAttribute,    // operands[0].name
    kItem,         // operands[0][operands[1]]
    kSlice,        // operands[0][operands[1]:operands[2]:operands[3]], the last three may be null
    kCall,         // operands[0](arguments)
    kFilter,       // operands[0] | builtin(arguments)
    kTest,         // operands[0] is builtin(arguments)
    kNot,          // not operands[0]
    kNegative,     // -operands[0]
    kPositive,     // +operands[0]
    kArithmetic,   // operands[0] operators[0] operands[1]
    kConcat,       // operands[0] ~ operands[1] ~ ...
    kCompare,      // operands[0] operators[0] operands[1] operators[1] operands[2] ...
    kAnd,          // operands[0] and operands[1] and ...
    kOr,           // operands[0] or operands[1] or ...
    kConditional,  // operands[0] if operands[1] else operands[2], which may be null
    kBlockText,    // what a filter block or a set block has rendered
  };
  Kind kind;
  int line;
  int height = 1;  // the tree's, which is bounded since running and freeing it recurse
  Value value;
  std::string name;
  // The number of a kName's variable: see Program::names.
  int slot = -1;
  std::vector<ExprPtr> operands;
  std::vector<Operator> operators;
  CallArguments arguments;
  const Builtin* builtin = nullptr;  // null: unknown, and so fails when it runs
};

// What a Failure says of a kFilter or kTest without a builtin.
std::string UnknownBuiltin(const Expr& expr);

// Python's functions say what they take; jinja2's macros say it by what their bodies name. One that
// names `varargs` takes any number of positional arguments, `kwargs` any named ones, and `caller`
// the block of a {% call %}.
struct Macro {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<int> slots;         // [parameter]
  std::vector<ExprPtr> defaults;  // [parameter] null: none
  Block body;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

// Tags that do the same share a kind: {% print a, b %} is a kPrint of a kConcat, and
// {% generation %} a kWith without assignments.
struct Stmt {
  enum class Kind {
    kText,      // text
    kPrint,     // value
    kFor,       // for target in value if test: body, else: otherwise
    kIf,        // branches in order, the last without a condition for else
    kSet,       // target = value
    kSetBlock,  // target = value, where value is made of the kBlockText that body renders
    kMacro,     // macro
    kCall,      // value is the call; macro its block
    kFilter,    // value, made of the kBlockText that body renders
    kWith,      // assignments, then body in a scope of its own
    kBreak,
    kContinue,
  };
  Kind kind;
  int line;
  Text text;
  ExprPtr target;
  ExprPtr value;
  ExprPtr test;
  bool recursive = false;
  Block body;
  Block otherwise;
  std::vector<std::pair<ExprPtr, Block>> branches;
  std::vector<std::pair<ExprPtr, ExprPtr>> assignments;
  std::unique_ptr<const Macro> macro;
};

// Names that the interpreter itself sets have slots in every template.
enum OwnSlot { kLoopSlot, kCallerSlot, kVarargsSlot, kKwargsSlot };
inline constexpr const char* kOwnNames[] = {"loop", "caller", "varargs", "kwargs"};  // [slot]

// A slot is the number of a name, not of a variable: two macros with a parameter x share the
// number, and each call keeps the value in its own Scope.
struct Program {
  Block body;
  std::vector<std::string> names;  // [slot]
};

}  // namespace lockstep::jinja
