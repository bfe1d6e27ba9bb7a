// map, select, reject and their like, and the aggregates, which all can look at an attribute of
// each item. The filter or test that map('upper') or select('odd') names is found when the call
// runs, as in jinja2, and an unknown name fails only if there is an item to apply it to.
#include "core/jinja/builtins/selection.h"

#include <algorithm>
#include <functional>

#include "core/jinja/builtins/builtins.h"
#include "core/jinja/builtins/text_functions.h"
#include "core/jinja/numbers.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

std::vector<std::string> SplitAt(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != text.npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// jinja2's ignore_case: filters that compare take "b" and "B" for equal unless told otherwise.
Value Folded(Interpreter& run, const Value& value, bool case_sensitive) {
  const bool fold = !case_sensitive && value.AsText() != nullptr;
  return fold ? run.New(Mapped(run, *value.AsText(), Lower)) : value;
}

// The builtin whose name is an argument of map or select, and the arguments behind it. select('gt',
// 3) calls the test gt with 3. Returns null where no name is given, as in select().
const Builtin* Named(BuiltinCall& call, size_t at, const Builtin* (*find)(std::string_view),
                     Arguments* arguments) {
  std::vector<Value>& given = call.rest.positional;
  if (at >= given.size()) return nullptr;
  const Text* name = given[at].AsText();
  const Builtin* builtin = name == nullptr ? nullptr : find(name->bytes());
  if (builtin == nullptr)
    Throw("{} knows no '{}'", call.builtin.name, call.run.Str(given[at]).bytes());
  arguments->positional.assign(given.begin() + static_cast<std::ptrdiff_t>(at) + 1, given.end());
  arguments->named = call.rest.named;
  return builtin;
}

// Null, 0 and the like are as good as an empty list.
std::vector<Value> ItemsIfAny(BuiltinCall& call) {
  return call.self.Truth() ? call.run.Items(call.self) : std::vector<Value>();
}

// Two forms: map('upper') applies a filter, map(attribute='a.b', default=0) looks at an attribute.
// jinja2 runs map and select as generators, item by item; here all items are made at once, which a
// template sees only where an item fails that nothing reads.
Value Map(BuiltinCall& call) {
  std::vector<Value> out;
  std::vector<Value> items = ItemsIfAny(call);
  if (call.rest.positional.empty()) {
    Value path;
    Value otherwise = Value::Null();
    for (const auto& [name, value] : call.rest.named) {
      if (name != "attribute" && name != "default") Throw("map has no parameter '{}'", name);
      (name == "attribute" ? path : otherwise) = value;
    }
    if (path.IsUndefined()) Throw("map needs the name of a filter or attribute=");
    const Attribute attribute(call.run, path, otherwise);
    for (const Value& item : items) out.push_back(attribute.Of(item));
  } else if (!items.empty()) {
    Arguments arguments;
    const Builtin* filter = Named(call, 0, FindFilter, &arguments);
    for (const Value& item : items) out.push_back(CallBuiltin(call.run, *filter, item, arguments));
  }
  return call.run.NewList(std::move(out), List::Kind::kGenerator);
}

// All four filters in one: `wanted` is false for reject, and selectattr's first argument is the
// attribute, so that its test stands one place further back.
template <bool wanted, bool by_attribute>
Value Select(BuiltinCall& call) {
  std::vector<Value> out;
  std::vector<Value> items = ItemsIfAny(call);
  if (items.empty()) return call.run.NewList(std::move(out), List::Kind::kGenerator);
  if (by_attribute && call.rest.positional.empty()) {
    Throw("{} needs the name of an attribute", call.builtin.name);
  }
  const Attribute attribute(call.run, by_attribute ? call.rest.positional[0] : Value::Null());
  Arguments arguments;
  const Builtin* test = Named(call, by_attribute ? 1 : 0, FindTest, &arguments);
  for (Value& item : items) {
    const Value looked_at = attribute.Of(item);
    const bool holds = test == nullptr ? looked_at.Truth()
                                       : CallBuiltin(call.run, *test, looked_at, arguments).Truth();
    if (holds == wanted) out.push_back(std::move(item));
  }
  return call.run.NewList(std::move(out), List::Kind::kGenerator);
}

Value Sum(BuiltinCall& call) {
  const Attribute attribute(call.run, call.At(0, Value::Null()));
  Value total = call.At(1, Value::Int(0));
  for (const Value& item : call.run.Items(call.self)) {
    total = call.run.Arithmetic(Operator::kAdd, total, attribute.Of(item));
  }
  return total;
}

// Among equal items the first one is returned, as by Python's min and max.
template <bool largest>
Value Extreme(BuiltinCall& call) {
  const Attribute attribute(call.run, call.At(1, Value::Null()));
  Value best = Value::UndefinedBecause(fmt::format("{} of nothing", call.builtin.name));
  Value best_key;
  for (const Value& item : call.run.Items(call.self)) {
    const Value key = Folded(call.run, attribute.Of(item), call.Truth(0));
    const bool better = best.IsUndefined() ||
                        (largest ? call.run.Less(best_key, key) : call.run.Less(key, best_key));
    if (!better) continue;
    best = item;
    best_key = key;
  }
  return best;
}

constexpr Builtin kFilters[] = {
    // jinja2 looks at attributes alone; here attr is the dot, so it finds an item of a dict as
    // well.
    {"attr", "name",
     [](BuiltinCall& call) { return call.run.Attribute(call.self, call.TextAt(0).bytes()); }},
    {"map", "* **", Map},
    {"max", "case_sensitive? attribute?", Extreme<true>},
    {"min", "case_sensitive? attribute?", Extreme<false>},
    {"reject", "* **", Select<false, false>},
    {"rejectattr", "* **", Select<false, true>},
    {"select", "* **", Select<true, false>},
    {"selectattr", "* **", Select<true, true>},
    {"sum", "attribute? start?", Sum},
};

}  // namespace

std::span<const Builtin> SelectFilters() { return kFilters; }

// "0" in a path is an index, as jinja2 has it, so a dict's key "0" cannot be named by one.
Attribute::Attribute(Interpreter& run, const Value& path, Value otherwise)
    : run_(run), otherwise_(std::move(otherwise)) {
  if (path.IsNone()) return;
  if (path.AsText() == nullptr) {
    keys_.push_back(path);
    return;
  }
  for (std::string& part : SplitAt(path.AsText()->bytes(), '.')) {
    const bool digits = !part.empty() && std::all_of(part.begin(), part.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    keys_.push_back(digits ? *ParseInt(part, 10) : Literal(part));
  }
}

// The default steps in at each key of the path, as jinja2's does: the rest of the path is then
// looked up in the default.
Value Attribute::Of(const Value& item) const {
  Value value = item;
  for (const Value& key : keys_) {
    value = run_.Item(value, key);
    if (value.IsUndefined() && !otherwise_.IsNone()) value = otherwise_;
  }
  return value;
}

Value SortKey(Interpreter& run, const Value& attribute, const Value& item, bool case_sensitive) {
  if (attribute.AsText() == nullptr || attribute.AsText()->bytes().find(',') == std::string::npos) {
    return Folded(run, Attribute(run, attribute).Of(item), case_sensitive);
  }
  std::vector<Value> keys;
  for (const std::string& part : SplitAt(attribute.AsText()->bytes(), ',')) {
    keys.push_back(Folded(run, Attribute(run, Literal(part)).Of(item), case_sensitive));
  }
  return run.NewList(std::move(keys));
}

// Reversing swaps the operands and not the result, since Python's sort keeps equal items in their
// order in either direction.
void SortValues(Interpreter& run, Keyed* keyed, bool reverse) {
  std::stable_sort(keyed->begin(), keyed->end(), [&](const auto& a, const auto& b) {
    return reverse ? run.Less(b.first, a.first) : run.Less(a.first, b.first);
  });
}

}  // namespace lockstep::jinja
