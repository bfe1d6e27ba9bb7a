// What may stand behind "is". jinja2 asks Python what a value can do (is it iterable, a sequence, a
// mapping?); with a closed set of types the answers are listed here. What is undefined counts as an
// empty sequence, as there.
#include <cmath>

#include "core/base/utf8.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/builtins/text_functions.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

// Makes a table's function of a lambda. The lambda captures nothing, so its type says all that it
// does, and the function makes one anew: a pointer to a function could carry no lambda along.
template <class Holds>
constexpr auto Test(Holds /*holds*/) {
  return [](BuiltinCall& call) { return Value::Bool(Holds{}(call)); };
}

// A bool is a number but not an integer for jinja2, though Python's bool is an int.
bool IsBool(const Value& value) { return value.As<bool>() != nullptr; }

bool IsIterable(const Value& value) {
  return value.IsUndefined() || value.AsText() != nullptr || value.AsList() != nullptr ||
         value.AsDict() != nullptr;
}

// jinja2 takes for a sequence what has a length and items, so strings and dicts are sequences, and
// views and generators are not.
bool IsSequence(const Value& value) {
  return IsIterable(value) && (value.AsList() == nullptr || value.AsList()->IsSequence());
}

// The rest of an integer division, for odd, even and divisibleby. "%" rounds down as Python's does,
// so that -3 is odd.
bool Divides(BuiltinCall& call, int64_t divisor, int64_t rest) {
  const Value left = call.run.Arithmetic(Operator::kModulo, call.self, Value::Int(divisor));
  return call.run.Equal(left, Value::Int(rest));
}

// Python's "is": values without a place in memory of their own are the same if they are equal.
bool IsSame(BuiltinCall& call) {
  const Value& a = call.self;
  const Value& b = call.At(0);
  if (a.AsList() != nullptr || b.AsList() != nullptr) return a.AsList() == b.AsList();
  if (a.AsDict() != nullptr || b.AsDict() != nullptr) return a.AsDict() == b.AsDict();
  return a.TypeName() == b.TypeName() && call.run.Equal(a, b);
}

// An undefined value is callable in Python, where calling it is what raises its error.
bool IsCallable(const Value& value) {
  return value.IsUndefined() || (value.AsObject() != nullptr && value.AsObject()->IsCallable());
}

// The operators have names as tests, too, for select('gt', 3) and its like.
template <Operator kOperator>
Value Comparison(BuiltinCall& call) {
  return Value::Bool(call.run.Compare(kOperator, call.self, call.At(0)));
}

constexpr Builtin kTests[] = {
    {"!=", "other", Comparison<Operator::kNotEqual>},
    {"<", "other", Comparison<Operator::kLess>},
    {"<=", "other", Comparison<Operator::kLessEqual>},
    {"==", "other", Comparison<Operator::kEqual>},
    {">", "other", Comparison<Operator::kGreater>},
    {">=", "other", Comparison<Operator::kGreaterEqual>},
    {"boolean", "", Test([](auto& call) { return IsBool(call.self); })},
    {"callable", "", Test([](auto& call) { return IsCallable(call.self); })},
    {"defined", "", Test([](auto& call) { return !call.self.IsUndefined(); })},
    {"divisibleby", "num", Test([](auto& call) { return Divides(call, call.Int(0, 1), 0); })},
    {"eq", "other", Comparison<Operator::kEqual>},
    {"equalto", "other", Comparison<Operator::kEqual>},
    // Nothing is ever escaped: a prompt is no HTML, and autoescape is off.
    {"escaped", "", Test([](auto& /*call*/) { return false; })},
    {"even", "", Test([](auto& call) { return Divides(call, 2, 0); })},
    {"false", "", Test([](auto& call) { return IsBool(call.self) && !call.self.Truth(); })},
    {"filter", "", Test([](auto& call) { return FindFilter(call.SelfText().bytes()) != nullptr; })},
    {"float", "", Test([](auto& call) { return call.self.template As<double>() != nullptr; })},
    {"ge", "other", Comparison<Operator::kGreaterEqual>},
    {"greaterthan", "other", Comparison<Operator::kGreater>},
    {"gt", "other", Comparison<Operator::kGreater>},
    {"in", "seq", Comparison<Operator::kIn>},
    {"integer", "", Test([](auto& call) { return call.self.IsInteger() && !IsBool(call.self); })},
    {"iterable", "", Test([](auto& call) { return IsIterable(call.self); })},
    {"le", "other", Comparison<Operator::kLessEqual>},
    {"lessthan", "other", Comparison<Operator::kLess>},
    {"lower", "", Test([](auto& call) { return IsOfCase(call.SelfText(), IsLower, IsUpper); })},
    {"lt", "other", Comparison<Operator::kLess>},
    {"mapping", "", Test([](auto& call) { return call.self.AsDict() != nullptr; })},
    {"ne", "other", Comparison<Operator::kNotEqual>},
    {"none", "", Test([](auto& call) { return call.self.IsNone(); })},
    {"number", "", Test([](auto& call) { return call.self.IsNumber(); })},
    {"odd", "", Test([](auto& call) { return Divides(call, 2, 1); })},
    {"sameas", "other", Test([](auto& call) { return IsSame(call); })},
    {"sequence", "", Test([](auto& call) { return IsSequence(call.self); })},
    {"string", "", Test([](auto& call) { return call.self.AsText() != nullptr; })},
    {"test", "", Test([](auto& call) { return FindTest(call.SelfText().bytes()) != nullptr; })},
    {"true", "", Test([](auto& call) { return IsBool(call.self) && call.self.Truth(); })},
    {"undefined", "", Test([](auto& call) { return call.self.IsUndefined(); })},
    {"upper", "", Test([](auto& call) { return IsOfCase(call.SelfText(), IsUpper, IsLower); })},
};

}  // namespace

std::span<const Builtin> Tests() { return kTests; }

}  // namespace lockstep::jinja
