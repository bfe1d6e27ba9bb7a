// Arithmetic and comparison, with Python's rules for each pair of types: "//" and "%" round down,
// "/" makes a float, True is 1, and lists compare item by item. Python's integers do not end; here
// sums and products beyond 64 bits are refused, which is better than a wrong number in a prompt.
#include <string.h>

#include <cmath>
#include <compare>

#include "core/jinja/builtins/builtins.h"
#include "core/jinja/builtins/format.h"
#include "core/jinja/interpreter.h"

namespace lockstep::jinja {
namespace {

std::string_view Symbol(Operator op) {
  // The texts stand in the order of the enum.
  static constexpr std::string_view kSymbols[] = {
      "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kSymbols[static_cast<size_t>(op)];
}

[[noreturn]] void ThrowOverflow(Operator op) {
  Throw("'{}' leaves the range of integers", Symbol(op));
}

// C++ rounds toward 0, Python down.
int64_t FloorDivided(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

// The rest has the sign of b, also where it is 0.
double FloatModulo(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

// By squaring; a negative exponent makes a float, as in Python. The last square is left out: no
// result needs it, and it could overflow where the result does not.
Value Power(int64_t base, int64_t exponent) {
  if (exponent < 0)
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
      ThrowOverflow(Operator::kPower);
    }
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) ThrowOverflow(Operator::kPower);
  }
  return Value::Int(result);
}

Value IntegerArithmetic(Operator op, int64_t a, int64_t b) {
  const bool divides =
      op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0) Throw("division by zero");
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Operator::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      // Beyond 2^53 an operand is rounded first; Python rounds only the quotient.
      return Value::Float(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kPower:
      if (a == 0 && b < 0) Throw("0 cannot be raised to a negative power");
      return Power(a, b);
    default:  // the smallest integer divided by -1 overflows
      if (b == -1) {
        overflow = op == Operator::kFloorDivide && __builtin_sub_overflow(int64_t{0}, a, &result);
      } else {
        result = FloorDivided(a, b);
        if (op == Operator::kModulo) result = a - result * b;
      }
  }
  if (overflow) ThrowOverflow(op);
  return Value::Int(result);
}

Value FloatArithmetic(Operator op, double a, double b) {
  const bool divides =
      op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0) Throw("division by zero");
  switch (op) {
    case Operator::kAdd:
      return Value::Float(a + b);
    case Operator::kSubtract:
      return Value::Float(a - b);
    case Operator::kMultiply:
      return Value::Float(a * b);
    case Operator::kDivide:
      return Value::Float(a / b);
    case Operator::kFloorDivide:
      return Value::Float(std::floor(a / b));
    case Operator::kModulo:
      return Value::Float(FloatModulo(a, b));
    default:
      return Value::Float(std::pow(a, b));
  }
}

// Exact where one of the two is a big integer, as Python's comparison of int and float is. Texts of
// digits are compared by their length first, then digit by digit, and negative ones the other way
// round.
std::partial_ordering Order(Budget* budget, const Value& a, const Value& b) {
  if (a.IsInt64() && b.IsInt64()) return a.Int64() <=> b.Int64();
  if (a.AsBigInteger() == nullptr && b.AsBigInteger() == nullptr) return a.Number() <=> b.Number();
  // A double of the size of a big integer is whole; what a smaller one has behind its point does
  // not matter.
  std::string digits[2];
  for (const Value* value : {&a, &b}) {
    const double* real = value->As<double>();
    if (real != nullptr && !std::isfinite(*real))
      return value == &a ? *real <=> 0.0 : 0.0 <=> *real;
    digits[value == &b] = real != nullptr ? fmt::format("{:.0f}", *real) : value->Digits();
    budget->Make(digits[value == &b].size());
  }
  const bool negative = digits[0].starts_with('-');
  if (negative != digits[1].starts_with('-')) return negative ? 0 <=> 1 : 1 <=> 0;
  const std::string &x = digits[negative], &y = digits[!negative];
  return x.size() != y.size() ? x.size() <=> y.size() : x <=> y;
}

}  // namespace

// "%" behind a string formats, and what is undefined may be formatted, so that comes first. Two
// integers of which one is big have no sum here; with a float it counts as a double.
Value Interpreter::Arithmetic(Operator op, const Value& a, const Value& b) {
  if (op == Operator::kModulo && a.AsText() != nullptr) return FormatPercent(*this, *a.AsText(), b);
  RequireDefined(a);
  RequireDefined(b);
  if (a.IsInt64() && b.IsInt64()) return IntegerArithmetic(op, a.Int64(), b.Int64());
  if (a.IsNumber() && b.IsNumber()) {
    if (a.IsInteger() && b.IsInteger()) ThrowOverflow(op);
    return FloatArithmetic(op, a.Number(), b.Number());
  }
  if (op == Operator::kAdd && a.AsText() != nullptr && b.AsText() != nullptr) {
    Builder out(&budget());
    out.Append(*a.AsText());
    out.Append(*b.AsText());
    return New(std::move(out));
  }
  const auto is_list = [](const Value& value) {
    return value.AsList() != nullptr &&
           (value.AsList()->kind == List::Kind::kList || value.AsList()->IsTuple());
  };
  if (op == Operator::kAdd && is_list(a) && is_list(b) &&
      a.AsList()->IsTuple() == b.AsList()->IsTuple()) {
    std::vector<Value> items = Items(a);
    const std::vector<Value> more = Items(b);
    items.insert(items.end(), more.begin(), more.end());
    return NewList(std::move(items),
                   a.AsList()->IsTuple() ? List::Kind::kTuple : List::Kind::kList);
  }
  if (op == Operator::kMultiply && (a.IsInteger() || b.IsInteger())) {
    const Value& repeated = a.IsInteger() ? b : a;
    const int64_t times = RequireInt64("'*'", a.IsInteger() ? a : b);
    const size_t count = times < 0 ? 0 : static_cast<size_t>(times);
    if (const Text* text = repeated.AsText()) {
      Builder out(&budget());
      out.Repeat(*text, count);
      return New(std::move(out));
    }
    if (is_list(repeated)) {
      const std::vector<Value>& once = repeated.AsList()->items;
      std::vector<Value> items;
      // The 1 is for an empty list, since Make divides by the size.
      budget().Make(count, once.size() * sizeof(Value) + 1);
      for (size_t i = 0; i < count && !once.empty(); ++i) {
        items.insert(items.end(), once.begin(), once.end());
      }
      return NewList(std::move(items),
                     repeated.AsList()->IsTuple() ? List::Kind::kTuple : List::Kind::kList);
    }
  }
  Throw("'{}' does not apply to {} and {}", Symbol(op), a.TypeName(), b.TypeName());
}

Value Interpreter::Negative(const Value& value) {
  RequireDefined(value);
  const bool smallest = value.IsInt64() && value.Int64() == INT64_MIN;
  // Its opposite is one more than 64 bits hold, and so becomes a big integer.
  if (smallest) return Value::Integer(value.Digits().substr(1));
  if (value.IsInt64()) return Value::Int(-value.Int64());
  if (const BigInteger* big = value.AsBigInteger()) {
    budget().Make(big->digits.size());
    return Value::Integer(big->digits[0] == '-' ? big->digits.substr(1) : "-" + big->digits);
  }
  if (value.IsNumber()) return Value::Float(-value.Number());
  Throw("'-' does not apply to {}", value.TypeName());
}

bool Interpreter::Compare(Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::kEqual:
      return Equal(a, b);
    case Operator::kNotEqual:
      return !Equal(a, b);
    case Operator::kLess:
      return Less(a, b);
    case Operator::kGreater:
      return Less(b, a);
    case Operator::kLessEqual:
    case Operator::kGreaterEqual: {
      if (a.IsNumber() && b.IsNumber()) {  // not a number is neither below nor above any
        const std::partial_ordering order = Order(&budget(), a, b);
        return op == Operator::kLessEqual ? std::is_lteq(order) : std::is_gteq(order);
      }
      return op == Operator::kLessEqual ? !Less(b, a) : !Less(a, b);
    }
    case Operator::kNotIn:
      return !Contains(b, a);
    default:
      return Contains(b, a);
  }
}

// Never fails: values of different types are unequal. The nesting of values is bounded, but a list
// can hold one list many times over, so each comparison is a step of the budget.
bool Interpreter::Equal(const Value& a, const Value& b) {
  budget().Step();
  if (a.IsNumber() && b.IsNumber()) return std::is_eq(Order(&budget(), a, b));
  if (a.AsText() != nullptr && b.AsText() != nullptr) {
    budget().Scan(std::min(a.AsText()->size(), b.AsText()->size()));
    return a.AsText()->bytes() == b.AsText()->bytes();
  }
  if (a.IsNone() || a.IsUndefined())
    return a.IsNone() == b.IsNone() && a.IsUndefined() == b.IsUndefined();
  if (a.AsObject() != nullptr) return a.AsObject() == b.AsObject();
  if (const Dict* x = a.AsDict(), *y = b.AsDict(); x != nullptr && y != nullptr) {
    if (x->entries.size() != y->entries.size()) return false;
    for (const auto& [key, value] : x->entries) {
      const Value* other = y->Find(key);
      if (other == nullptr || !Equal(value, *other)) return false;
    }
    return true;
  }
  const List *x = a.AsList(), *y = b.AsList();
  if (x == nullptr || y == nullptr) return false;
  const bool same = x->IsTuple() ? y->IsTuple() : x->kind == y->kind;
  if (x == y || !same || !x->IsSequence() || x->items.size() != y->items.size()) return x == y;
  for (size_t i = 0; i < x->items.size(); ++i) {
    if (!Equal(x->items[i], y->items[i])) return false;
  }
  return true;
}

// Lists and tuples compare as in Python: the first pair that differs decides, then the length.
bool Interpreter::Less(const Value& a, const Value& b) {
  budget().Step();
  RequireDefined(a);
  RequireDefined(b);
  if (a.IsNumber() && b.IsNumber()) return std::is_lt(Order(&budget(), a, b));
  if (a.AsText() != nullptr && b.AsText() != nullptr) {
    budget().Scan(std::min(a.AsText()->size(), b.AsText()->size()));
    return a.AsText()->bytes() < b.AsText()->bytes();  // UTF-8 sorts as its code points do
  }
  const List *x = a.AsList(), *y = b.AsList();
  if (x != nullptr && y != nullptr && x->IsSequence() && x->IsTuple() == y->IsTuple()) {
    for (size_t i = 0; i < std::min(x->items.size(), y->items.size()); ++i) {
      if (!Equal(x->items[i], y->items[i])) return Less(x->items[i], y->items[i]);
    }
    return x->items.size() < y->items.size();
  }
  Throw("{} and {} have no order", a.TypeName(), b.TypeName());
}

// Nothing is in what is undefined, as in jinja2.
bool Interpreter::Contains(const Value& container, const Value& item) {
  if (const Text* text = container.AsText()) {
    if (item.AsText() == nullptr) {
      RequireDefined(item);
      Throw("only a string can be in a string, not a {}", item.TypeName());
    }
    const std::string& what = item.AsText()->bytes();
    budget().Scan(text->size() + what.size());
    // memmem takes linear time, unlike std::string::find.
    return memmem(text->bytes().data(), text->size(), what.data(), what.size()) != nullptr;
  }
  if (const Dict* dict = container.AsDict()) return dict->Find(item) != nullptr;
  if (container.AsList() == nullptr && !container.IsUndefined()) {
    Throw("'in' does not apply to {}", container.TypeName());
  }
  for (const Value& candidate : Items(container)) {
    if (Equal(candidate, item)) return true;
  }
  return false;
}

}  // namespace lockstep::jinja
