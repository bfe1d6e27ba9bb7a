// Filters of lists and dicts. Those that are generators in jinja2 make a List::Kind::kGenerator,
// which can be gone through only once and has no length: what fails elsewhere should not work here.
#include <algorithm>

#include "core/jinja/builtins/builtins.h"
#include "core/jinja/builtins/selection.h"

namespace lockstep::jinja {
namespace {

// With `boolean` set, empty text, 0 and None are replaced as well, not only what is undefined.
Value Default(BuiltinCall& call) {
  const bool missing = call.self.IsUndefined() || (call.Truth(1) && !call.self.Truth());
  return missing ? call.At(0, Literal("")) : call.self;
}

Value LengthOf(BuiltinCall& call) { return Value::Int(call.run.Length(call.self)); }

Value First(BuiltinCall& call) {
  const std::vector<Value> items = call.run.Items(call.self);
  return items.empty() ? Value::UndefinedBecause("there is no first item") : items.front();
}

// jinja2 takes the first item of reversed(value), and Python cannot reverse a generator.
Value Last(BuiltinCall& call) {
  if (call.self.AsList() != nullptr && call.self.AsList()->kind == List::Kind::kGenerator) {
    Throw("a generator has no last item: use list first");
  }
  const std::vector<Value> items = call.run.Items(call.self);
  return items.empty() ? Value::UndefinedBecause("there is no last item") : items.back();
}

// A string becomes a string; anything else becomes what Python's reversed() returns, a generator.
Value Reverse(BuiltinCall& call) {
  if (call.self.AsText() != nullptr) {
    return call.run.Slice(call.self, Value::Null(), Value::Null(), Value::Int(-1));
  }
  std::vector<Value> items = call.run.Items(call.self);
  std::reverse(items.begin(), items.end());
  return call.run.NewList(std::move(items), List::Kind::kGenerator);
}

// Unlike the method of strings it takes items of any type and writes them with str().
Value Join(BuiltinCall& call) {
  const Text separator = call.Str(0, "");
  const Attribute attribute(call.run, call.At(1, Value::Null()));
  Builder out(&call.run.budget());
  bool first = true;
  for (const Value& item : call.run.Items(call.self)) {
    if (!first) out.Append(separator);
    call.run.AppendStr(attribute.Of(item), &out);
    first = false;
  }
  return call.run.New(std::move(out));
}

Value Sort(BuiltinCall& call) {
  const Value by = call.At(2, Value::Null());
  Keyed keyed;
  for (Value& item : call.run.Items(call.self)) {
    Value key = SortKey(call.run, by, item, call.Truth(1));
    keyed.emplace_back(std::move(key), std::move(item));
  }
  SortValues(call.run, &keyed, call.Truth(0));
  std::vector<Value> sorted;
  for (auto& [key, item] : keyed) sorted.push_back(std::move(item));
  return call.run.NewList(std::move(sorted));
}

// The result is a list of (key, value), for loops: a dict itself is in the order of its making.
Value DictSort(BuiltinCall& call) {
  const Dict* dict = call.self.AsDict();
  if (dict == nullptr) Throw("dictsort needs a dict, not a {}", call.self.TypeName());
  const std::string by = call.Str(1, "key").bytes();
  if (by != "key" && by != "value") Throw("dictsort sorts by \"key\" or by \"value\"");
  Keyed keyed;
  for (const auto& [key, value] : dict->entries) {
    keyed.emplace_back(SortKey(call.run, Value::Null(), by == "key" ? key : value, call.Truth(0)),
                       call.run.NewList({key, value}, List::Kind::kTuple));
  }
  SortValues(call.run, &keyed, call.Truth(2));
  std::vector<Value> sorted;
  for (auto& [key, item] : keyed) sorted.push_back(std::move(item));
  return call.run.NewList(std::move(sorted));
}

// The first item of each key stays. Keys are compared by HashKey in a dict, so that a long list
// takes no quadratic time.
Value Unique(BuiltinCall& call) {
  const Value by = call.At(1, Value::Null());
  Dict seen;
  std::vector<Value> items;
  for (Value& item : call.run.Items(call.self)) {
    Value key = SortKey(call.run, by, item, call.Truth(0));
    std::string hash;
    if (!HashKey(key, &hash)) Throw("unique cannot compare a {}", key.TypeName());
    call.run.budget().Make(hash.size() + 128);
    if (seen.Find(key) != nullptr) continue;
    seen.Set(std::move(key), Value());
    items.push_back(std::move(item));
  }
  return call.run.NewList(std::move(items), List::Kind::kGenerator);
}

// This differs from the method: what is undefined has no items, instead of an error.
Value ItemsFilter(BuiltinCall& call) {
  std::vector<Value> items;
  const Dict* dict = call.self.AsDict();
  if (dict == nullptr && !call.self.IsUndefined()) {
    Throw("items needs a dict, not a {}", call.self.TypeName());
  }
  if (dict != nullptr) {
    for (const auto& [key, value] : dict->entries) {
      items.push_back(call.run.NewList({key, value}, List::Kind::kTuple));
    }
  }
  return call.run.NewList(std::move(items), List::Kind::kGenerator);
}

// jinja2 sorts by the key and then groups neighbours, so groups come in the order of their keys;
// text in another case is in the same group, which is named by its first item's key as that is
// written.
Value GroupBy(BuiltinCall& call) {
  const bool case_sensitive = call.Truth(2);
  const Attribute attribute(call.run, call.At(0), call.At(1, Value::Null()));
  Keyed keyed;
  for (Value& item : call.run.Items(call.self)) {
    Value key = SortKey(call.run, Value::Null(), attribute.Of(item), case_sensitive);
    keyed.emplace_back(std::move(key), std::move(item));
  }
  SortValues(call.run, &keyed, false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    // The first is in its group even where its key, NaN, does not equal itself.
    std::vector<Value> items = {keyed[begin].second};
    size_t end = begin + 1;
    for (; end < keyed.size() && call.run.Equal(keyed[end].first, keyed[begin].first); ++end) {
      items.push_back(keyed[end].second);
    }
    Value grouper = attribute.Of(items[0]);
    groups.push_back(
        call.run.NewList({grouper, call.run.NewList(std::move(items))}, List::Kind::kGroup));
    begin = end;
  }
  return call.run.NewList(std::move(groups));
}

// Makes rows of `linecount` items, of which the last is filled up if there is a `fill_with`.
Value Batch(BuiltinCall& call) {
  const int64_t size = call.Int(0, 1);
  const Value fill = call.At(1, Value::Null());
  std::vector<Value> batches;
  std::vector<Value> batch;
  for (Value& item : call.run.Items(call.self)) {
    if (static_cast<int64_t>(batch.size()) == size) {
      batches.push_back(call.run.NewList(std::exchange(batch, {})));
    }
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    while (!fill.IsNone() && static_cast<int64_t>(batch.size()) < size) {
      call.run.budget().Make(sizeof(Value));
      batch.push_back(fill);
    }
    batches.push_back(call.run.NewList(std::move(batch)));
  }
  return call.run.NewList(std::move(batches), List::Kind::kGenerator);
}

// Columns, in contrast to batch's rows: as many lists as `slices`, the first ones longer by an
// item. [1, 2, 3] in two slices is [1, 2], [3]. With `fill_with` jinja2 adds it to every list that
// is not longer than others, also where all are of one length: [1, 2] in two slices is then [1, x],
// [2, x].
Value SliceFilter(BuiltinCall& call) {
  const int64_t slices = call.Int(0, 1);
  if (slices == 0) Throw("division by zero");
  const Value fill = call.At(1, Value::Null());
  const std::vector<Value> items = call.run.Items(call.self);
  const int64_t length = static_cast<int64_t>(items.size());
  std::vector<Value> out;
  auto from = items.begin();
  for (int64_t i = 0; i < slices; ++i) {
    const bool longer = i < length % slices;
    const auto to = from + length / slices + (longer ? 1 : 0);
    std::vector<Value> slice(from, to);
    if (!longer && !fill.IsNone()) slice.push_back(fill);
    out.push_back(call.run.NewList(std::move(slice)));
    from = to;
  }
  return call.run.NewList(std::move(out), List::Kind::kGenerator);
}

constexpr Builtin kFilters[] = {
    {"batch", "linecount fill_with?", Batch},
    {"count", "", LengthOf},
    {"d", "default_value? boolean?", Default},
    {"default", "default_value? boolean?", Default},
    {"dictsort", "case_sensitive? by? reverse?", DictSort},
    {"first", "", First},
    {"groupby", "attribute default? case_sensitive?", GroupBy},
    {"items", "", ItemsFilter},
    {"join", "d? attribute?", Join},
    {"last", "", Last},
    {"length", "", LengthOf},
    {"list", "", [](BuiltinCall& call) { return call.run.NewList(call.run.Items(call.self)); }},
    {"reverse", "", Reverse},
    {"slice", "slices fill_with?", SliceFilter},
    {"sort", "reverse? case_sensitive? attribute?", Sort},
    {"unique", "case_sensitive? attribute?", Unique},
};

}  // namespace

std::span<const Builtin> ListFilters() { return kFilters; }

}  // namespace lockstep::jinja
