// Expressions of a running template, by a walk over the tree. Operands are evaluated in Python's
// order, and those that Python does not evaluate ("and", "or", "if") are not. line_ is set again
// behind whatever may have called a macro, so that a failure names the line of the operator and not
// of the macro.
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/renderer.h"

namespace lockstep::jinja {

Value Renderer::Evaluate(const Expr& expr) {
  const Deeper deeper(&budget());
  line_ = expr.line;
  const auto operand = [&](size_t at) { return Evaluate(*expr.operands[at]); };
  switch (expr.kind) {
    case Expr::Kind::kLiteral:
      return expr.value;
    case Expr::Kind::kName:
      return Lookup(expr);
    case Expr::Kind::kBlockText:
      return block_text_;
    case Expr::Kind::kList:
    case Expr::Kind::kTuple: {
      std::vector<Value> items;
      for (const ExprPtr& item : expr.operands) items.push_back(Evaluate(*item));
      const bool list = expr.kind == Expr::Kind::kList;
      return NewList(std::move(items), list ? List::Kind::kList : List::Kind::kTuple);
    }
    case Expr::Kind::kDict:
      return EvaluateDict(expr);
    case Expr::Kind::kAttribute:
      return Attribute(operand(0), expr.name);
    case Expr::Kind::kItem: {
      // C++ leaves the order of a call's arguments open; Python goes from left to right.
      const Value value = operand(0);
      return Item(value, operand(1));
    }
    case Expr::Kind::kSlice:
      return EvaluateSlice(expr);
    case Expr::Kind::kCall:
      return EvaluateCall(expr);
    case Expr::Kind::kFilter:
    case Expr::Kind::kTest:
      return EvaluateBuiltin(expr);
    case Expr::Kind::kNot:
      return Value::Bool(!operand(0).Truth());
    case Expr::Kind::kNegative:
      return Negative(operand(0));
    case Expr::Kind::kPositive:
      // Twice the minus refuses what the plus refuses, and makes 1 of True, as Python does.
      return Negative(Negative(operand(0)));
    case Expr::Kind::kArithmetic: {
      const Value a = operand(0);
      const Value b = operand(1);
      line_ = expr.line;
      return Arithmetic(expr.operators[0], a, b);
    }
    case Expr::Kind::kConcat: {
      Builder out(&budget());
      for (const ExprPtr& part : expr.operands) AppendStr(Evaluate(*part), &out);
      return New(std::move(out));
    }
    case Expr::Kind::kCompare:
      return EvaluateCompare(expr);
    case Expr::Kind::kAnd:
    case Expr::Kind::kOr:
      return EvaluateLogic(expr);
    case Expr::Kind::kConditional:
      if (operand(1).Truth()) return operand(0);
      if (expr.operands[2] != nullptr) return operand(2);
      return Value::UndefinedBecause("an if without else was false, and so has no value");
  }
  return Value();
}

Value Renderer::EvaluateBuiltin(const Expr& expr) {
  if (expr.builtin == nullptr) Throw("{}", UnknownBuiltin(expr));
  const Value value = Evaluate(*expr.operands[0]);
  Arguments arguments = Evaluate(expr.arguments);
  line_ = expr.line;
  return CallBuiltin(*this, *expr.builtin, value, std::move(arguments));
}

// The first operand that settles it, or the last one.
Value Renderer::EvaluateLogic(const Expr& expr) {
  const bool stops_at = expr.kind == Expr::Kind::kOr;
  Value value = Evaluate(*expr.operands[0]);
  for (size_t i = 1; i < expr.operands.size() && value.Truth() != stops_at; ++i) {
    value = Evaluate(*expr.operands[i]);
  }
  return value;
}

Value Renderer::EvaluateDict(const Expr& expr) {
  Dict dict;
  for (size_t i = 0; i < expr.operands.size(); i += 2) {
    Value key = Evaluate(*expr.operands[i]);
    if (std::string hash; !HashKey(key, &hash))
      Throw("a {} cannot be a dict's key", key.TypeName());
    dict.Set(std::move(key), Evaluate(*expr.operands[i + 1]));
  }
  return NewDict(std::move(dict));
}

Value Renderer::EvaluateSlice(const Expr& expr) {
  Value parts[4];
  for (size_t i = 0; i < 4; ++i) {
    parts[i] = expr.operands[i] == nullptr ? Value::Null() : Evaluate(*expr.operands[i]);
  }
  return Slice(parts[0], parts[1], parts[2], parts[3]);
}

// A chain ends at the first comparison that is false, and the operands behind it are not evaluated.
Value Renderer::EvaluateCompare(const Expr& expr) {
  Value left = Evaluate(*expr.operands[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = Evaluate(*expr.operands[i + 1]);
    if (!Compare(expr.operators[i], left, right)) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

// A name may come twice, in the call and in "**"; the callee refuses that.
Arguments Renderer::Evaluate(const CallArguments& arguments) {
  Arguments values;
  for (const ExprPtr& value : arguments.positional) values.positional.push_back(Evaluate(*value));
  for (const Keyword& keyword : arguments.named) {
    values.named.emplace_back(keyword.name, Evaluate(*keyword.value));
  }
  if (arguments.spread != nullptr) {
    for (Value& item : Items(Evaluate(*arguments.spread))) {
      values.positional.push_back(std::move(item));
    }
  }
  if (arguments.spread_named != nullptr) {
    const Value named = Evaluate(*arguments.spread_named);
    if (named.AsDict() == nullptr) Throw("'**' needs a dict, not a {}", named.TypeName());
    budget().Make(named.AsDict()->entries.size() * sizeof(values.named[0]));
    for (const auto& [key, value] : named.AsDict()->entries) {
      if (key.AsText() == nullptr) Throw("'**' needs a dict whose keys are strings");
      values.named.emplace_back(key.AsText()->bytes(), value);
    }
  }
  return values;
}

Value Renderer::EvaluateCall(const Expr& expr) {
  const Expr& callee = *expr.operands[0];
  if (callee.kind == Expr::Kind::kAttribute) {  // a method, mostly: no need to make it a value
    const Value self = Evaluate(*callee.operands[0]);
    if (const Builtin* method = FindMethod(self, callee.name)) {
      Arguments arguments = Evaluate(expr.arguments);
      line_ = expr.line;
      return CallBuiltin(*this, *method, self, std::move(arguments));
    }
    const Value function = Attribute(self, callee.name);
    return Call(function, Evaluate(expr.arguments));
  }
  const Value function = Evaluate(callee);
  Arguments arguments = Evaluate(expr.arguments);
  line_ = expr.line;
  return Call(function, std::move(arguments));
}

Value Renderer::Call(const Value& callee, Arguments arguments) {
  if (Object* const object = callee.AsObject()) return object->Call(*this, std::move(arguments));
  RequireDefined(callee);
  Throw("a value of type {} cannot be called", callee.TypeName());
}

}  // namespace lockstep::jinja
