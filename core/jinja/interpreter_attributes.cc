// What is inside a value: attributes, items, slices, and what a loop goes through. jinja2 looks in
// both places, in opposite orders: "x.name" takes a method before an item, "x['name']" an item
// before an attribute. So {"items": 1}.items is the method, and {"items": 1}["items"] is 1. What is
// not there is undefined, which fails only when something is done with it.
#include <algorithm>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/interpreter.h"
#include "core/jinja/objects.h"

namespace lockstep::jinja {
namespace {

Value NoAttribute(std::string_view type, const std::string& name) {
  return Value::UndefinedBecause(
      fmt::format("'{} object' has no attribute {}", type, Quoted(name)));
}

// Lists and dicts are shared and never change; Python's methods that would change one are refused.
bool Changes(const Value& value, std::string_view name) {
  const auto is = [&](auto... names) { return ((name == names) || ...); };
  if (value.AsDict() != nullptr) return is("clear", "pop", "popitem", "setdefault", "update");
  return value.AsList() != nullptr && value.AsList()->kind == List::Kind::kList &&
         is("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");
}

// It names `count` places from `begin` on, each `step` further. A count instead of an end cannot
// overflow.
struct Range {
  int64_t begin;
  int64_t step;
  size_t count;
};

// [begin:end:step] of a sequence of `length`, by Python's rules.
Range SliceRange(const Value& begin, const Value& end, const Value& step, int64_t length) {
  const auto part = [](const Value& value, int64_t otherwise) {
    if (value.IsNone()) return otherwise;
    return RequireInt64("a slice", value);
  };
  Range range{0, part(step, 1), 0};
  if (range.step == 0) Throw("the step of a slice cannot be 0");
  const bool forward = range.step > 0;
  // This is CPython's PySlice_AdjustIndices: below 0 counts from the end, and what is still outside
  // moves to the nearest place, which is -1 rather than 0 where the slice goes backward.
  const auto bound = [&](const Value& value, int64_t otherwise) {
    int64_t at = part(value, otherwise);
    if (value.IsNone()) return at;
    if (at < 0) at = std::max<int64_t>(at, -length - 1) + length;
    return std::clamp<int64_t>(at, forward ? 0 : -1, forward ? length : length - 1);
  };
  range.begin = bound(begin, forward ? 0 : length - 1);
  const int64_t stop = bound(end, forward ? length : -1);
  const int64_t distance = forward ? stop - range.begin : range.begin - stop;
  if (distance <= 0) return range;
  // The smallest step has no opposite among signed integers.
  const uint64_t stride =
      forward ? static_cast<uint64_t>(range.step) : uint64_t{0} - static_cast<uint64_t>(range.step);
  range.count = static_cast<size_t>((static_cast<uint64_t>(distance) - 1) / stride + 1);
  return range;
}

}  // namespace

// NOLINTNEXTLINE(performance-unnecessary-value-param): objects that can be called take them over
Value Object::Call(Interpreter& /*run*/, Arguments /*arguments*/) {
  Throw("a {} cannot be called", TypeName());
}

Value Object::Attribute(Interpreter& /*run*/, const std::string& name) {
  return NoAttribute(TypeName(), name);
}

// A method becomes a Function that holds the value, so that {% set f = x.strip %} can be called
// later. What is not there, or may not be called, is undefined with the reason.
Value Interpreter::Attribute(const Value& value, const std::string& name) {
  RequireDefined(value);
  if (const Builtin* method = FindMethod(value, name)) {
    return Value(static_cast<Object*>(Own<Function>(method, value)));
  }
  if (Changes(value, name)) {
    return Value::UndefinedBecause(fmt::format(
        "{} would change a {}, which a chat template may not do", name, value.TypeName()));
  }
  if (Object* const object = value.AsObject()) return object->Attribute(*this, name);
  if (const Dict* dict = value.AsDict()) {
    if (const Value* found = dict->Find(name)) return *found;
  }
  // groupby's results have names, as the _GroupTuple of jinja2.
  if (const List* list = value.AsList(); list != nullptr && list->kind == List::Kind::kGroup) {
    if (name == "grouper") return list->items[0];
    if (name == "list") return list->items[1];
  }
  return NoAttribute(value.TypeName(), name);
}

// Strings are indexed by characters, which takes time in proportion to their length: that is
// counted.
Value Interpreter::Item(const Value& value, const Value& key) {
  RequireDefined(value);
  if (const Dict* dict = value.AsDict()) {
    if (const Value* found = dict->Find(key)) return *found;
  }
  if (key.IsInt64()) {
    const int64_t index = key.Int64();
    const List* list = value.AsList();
    if (list != nullptr && list->IsSequence()) {
      const int64_t length = static_cast<int64_t>(list->items.size());
      const int64_t at = index < 0 ? index + length : index;
      if (at >= 0 && at < length) return list->items[static_cast<size_t>(at)];
    } else if (const Text* text = value.AsText()) {
      budget().Scan(text->size());
      const std::string_view bytes = text->bytes();
      const int64_t at = index < 0 ? index + static_cast<int64_t>(CountCharacters(bytes)) : index;
      const size_t begin = at < 0 ? bytes.size() : CharacterOffset(bytes, static_cast<size_t>(at));
      if (begin < bytes.size()) {
        return New(text->Slice(begin, begin + CharacterLength(bytes.substr(begin))));
      }
    }
  }
  if (key.AsText() != nullptr) return Attribute(value, key.AsText()->bytes());
  return Value::UndefinedBecause(
      fmt::format("'{} object' has no item {}", value.TypeName(), Escaped(Str(key).bytes(), 40)));
}

Value Interpreter::Slice(const Value& value, const Value& begin, const Value& end,
                         const Value& step) {
  RequireDefined(value);
  if (const Text* text = value.AsText()) {
    budget().Scan(text->size());
    const std::string_view bytes = text->bytes();
    const Range range = SliceRange(begin, end, step, static_cast<int64_t>(CountCharacters(bytes)));
    Builder out(&budget());
    if (range.count == 0) return New(std::move(out));
    if (range.step == 1) {
      const size_t first = CharacterOffset(bytes, static_cast<size_t>(range.begin));
      const size_t size = CharacterOffset(bytes.substr(first), range.count);
      out.AppendSlice(*text, first, first + size);
      return New(std::move(out));
    }
    // Characters have different sizes, so a stride needs to know where each of them begins.
    std::vector<size_t> offsets;
    budget().Make(bytes.size() * sizeof(size_t));
    for (size_t i = 0; i < bytes.size(); i += CharacterLength(bytes.substr(i)))
      offsets.push_back(i);
    offsets.push_back(bytes.size());
    for (size_t i = 0; i < range.count; ++i) {
      const auto at = static_cast<size_t>(range.begin + static_cast<int64_t>(i) * range.step);
      out.AppendSlice(*text, offsets[at], offsets[at + 1]);
    }
    return New(std::move(out));
  }
  const List* list = value.AsList();
  if (list == nullptr || !list->IsSequence()) {
    return Value::UndefinedBecause(fmt::format("a {} cannot be sliced", value.TypeName()));
  }
  const Range range = SliceRange(begin, end, step, static_cast<int64_t>(list->items.size()));
  budget().Step(range.count / 8);
  std::vector<Value> items;
  for (size_t i = 0; i < range.count; ++i) {
    items.push_back(
        list->items[static_cast<size_t>(range.begin + static_cast<int64_t>(i) * range.step)]);
  }
  const auto kind = list->kind == List::Kind::kGroup ? List::Kind::kTuple : list->kind;
  return NewList(std::move(items), kind);
}

// A loop over a dict goes through its keys, one over a string through its characters. A generator
// is empty the second time, and what is undefined is empty, as in jinja2.
std::vector<Value> Interpreter::Items(const Value& value) {
  std::vector<Value> items;
  if (value.IsUndefined()) return items;
  if (const List* list = value.AsList()) {
    if (list->consumed) return items;
    list->consumed = list->kind == List::Kind::kGenerator;
    budget().Make(list->items.size() * sizeof(Value));
    return list->items;
  }
  if (const Dict* dict = value.AsDict()) {
    budget().Make(dict->entries.size() * sizeof(Value));
    for (const auto& entry : dict->entries) items.push_back(entry.first);
    return items;
  }
  const Text* text = value.AsText();
  if (text == nullptr) Throw("a {} cannot be gone through", value.TypeName());
  // Each character becomes a string of its own; 32 bytes stand for its allocations.
  budget().Make(text->size() * (sizeof(Value) + sizeof(Text) + 32));
  const std::string_view bytes = text->bytes();
  for (size_t i = 0; i < bytes.size();) {
    const size_t end = i + CharacterLength(bytes.substr(i));
    items.push_back(MakeText(text->Slice(i, end)));
    i = end;
  }
  return items;
}

int64_t Interpreter::Length(const Value& value) {
  if (value.IsUndefined()) return 0;
  if (const Text* text = value.AsText()) {
    budget().Scan(text->size());
    return static_cast<int64_t>(CountCharacters(text->bytes()));
  }
  if (const Dict* dict = value.AsDict()) return static_cast<int64_t>(dict->entries.size());
  const List* list = value.AsList();
  if (list == nullptr || list->kind == List::Kind::kGenerator) {
    Throw("a {} has no length", value.TypeName());
  }
  return static_cast<int64_t>(list->items.size());
}

}  // namespace lockstep::jinja
