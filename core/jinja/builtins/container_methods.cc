// The methods of dicts, lists and tuples that change nothing. jinja2's sandbox for chat templates
// is immutable too: there those that change something are refused when they are called, here they
// are not found (interpreter_attributes.cc says why).
#include "core/jinja/builtins/builtins.h"

namespace lockstep::jinja {
namespace {

// Python's views follow their dict; here a dict never changes, so a copy of what it holds is a view
// of it for good.
template <bool keys, bool values>
Value Entries(BuiltinCall& call) {
  std::vector<Value> items;
  call.run.budget().Make(call.self.AsDict()->entries.size() * sizeof(Value));
  for (const auto& [key, value] : call.self.AsDict()->entries) {
    items.push_back(!values ? key
                    : !keys ? value
                            : call.run.NewList({key, value}, List::Kind::kTuple));
  }
  return call.run.NewList(std::move(items), List::Kind::kView);
}

// What is not there is None, whereas dict["key"] is undefined: templates test for both.
Value Get(BuiltinCall& call) {
  const Value* found = call.self.AsDict()->Find(call.At(0));
  return found == nullptr ? call.At(1, Value::Null()) : *found;
}

Value Copy(BuiltinCall& call) { return call.self; }  // nothing can tell it from a copy

Value CountOf(BuiltinCall& call) {
  int64_t count = 0;
  for (const Value& item : call.self.AsList()->items) count += call.run.Equal(item, call.At(0));
  return Value::Int(count);
}

Value IndexOf(BuiltinCall& call) {
  const std::vector<Value>& items = call.self.AsList()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (call.run.Equal(items[i], call.At(0))) return Value::Int(static_cast<int64_t>(i));
  }
  Throw("index: the list has no such item");
}

constexpr Builtin kDictMethods[] = {
    {"copy", "", Copy},
    {"get", "key default?", Get},
    {"items", "", Entries<true, true>},
    {"keys", "", Entries<true, false>},
    {"values", "", Entries<false, true>},
};

// Lists, tuples and ranges share these.
constexpr Builtin kListMethods[] = {
    {"copy", "", Copy}, {"count", "value", CountOf}, {"index", "value", IndexOf}};

}  // namespace

std::span<const Builtin> DictMethods() { return kDictMethods; }
std::span<const Builtin> ListMethods() { return kListMethods; }

}  // namespace lockstep::jinja
