// How builtins are found and called. The tables are searched by name when a template is parsed, so
// a list is good enough; at run time a call has its Builtin already.
#include "core/jinja/builtins/builtins.h"

#include <algorithm>

#include "core/jinja/scopes.h"

namespace lockstep::jinja {
namespace {

const Builtin* FindIn(std::span<const Builtin> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Builtin& builtin) { return builtin.name == name; });
  return found == table.end() ? nullptr : &*found;
}

// A large value counts as several steps, since almost every builtin reads all of it.
size_t SizeOf(const Value& value) {
  if (value.AsText() != nullptr) return value.AsText()->size() / 32;
  if (value.AsList() != nullptr) return value.AsList()->items.size() / 8;
  return value.AsDict() != nullptr ? value.AsDict()->entries.size() / 8 : 0;
}

// Binds as Python does: positional arguments fill the parameters from the left, named ones go to
// the parameter of their name, and what finds no parameter goes to `rest` if the row has "*" or
// "**". A parameter that gets nothing stays without a value, which is not the same as None.
void Bind(BuiltinCall* call, Arguments arguments) {
  const std::string_view name = call->builtin.name;
  const Parameters& parameters = call->builtin.parameters;
  const std::span names = std::span(parameters.names).first(parameters.count);
  call->arguments.resize(names.size());
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < names.size()) {
      call->arguments[i] = std::move(arguments.positional[i]);
    } else if (parameters.more) {
      call->rest.positional.push_back(std::move(arguments.positional[i]));
    } else {
      Throw("{} takes at most {} arguments, not {}", name, names.size(),
            arguments.positional.size());
    }
  }
  for (auto& [key, value] : arguments.named) {
    const auto at = std::find(names.begin(), names.end(), key);
    if (at != names.end()) {
      std::optional<Value>& place = call->arguments[static_cast<size_t>(at - names.begin())];
      if (place.has_value()) Throw("{} is given {} twice", name, key);
      place = std::move(value);
    } else if (parameters.more_named) {
      call->rest.named.emplace_back(std::move(key), std::move(value));
    } else {
      Throw("{} has no parameter '{}'", name, key);
    }
  }
  for (size_t i = 0; i < parameters.required; ++i) {
    if (!call->Has(i)) Throw("{} needs its argument '{}'", name, names[i]);
  }
}

}  // namespace

int64_t BuiltinCall::Int(size_t at, int64_t otherwise) const {
  if (!Has(at)) return otherwise;
  return RequireInt64(builtin.name, At(at));
}

const Text& BuiltinCall::TextAt(size_t at) const {
  const Text* text = At(at).AsText();
  if (text == nullptr) Throw("{} needs a string, not a {}", builtin.name, At(at).TypeName());
  return *text;
}

Text BuiltinCall::Str(size_t at, std::string_view otherwise) const {
  return Has(at) ? run.Str(At(at)) : Text(std::string(otherwise), true);
}

// No name stands in two of these tables, so their order does not matter.
const Builtin* FindFilter(std::string_view name) {
  for (const auto table :
       {TextFilters(), ListFilters(), SelectFilters(), NumberFilters(), JsonFilters()}) {
    if (const Builtin* found = FindIn(table, name)) return found;
  }
  return nullptr;
}

const Builtin* FindTest(std::string_view name) { return FindIn(Tests(), name); }

const Builtin* FindFunction(std::string_view name) { return FindIn(Functions(), name); }

const Builtin* FindMethod(const Value& self, std::string_view name) {
  // A range and a tuple have the methods of a list that changes nothing (count, index), as in
  // Python. Views and generators have none.
  if (self.AsText() != nullptr) return FindIn(StringMethods(), name);
  if (self.AsDict() != nullptr) return FindIn(DictMethods(), name);
  const List* list = self.AsList();
  return list != nullptr && list->IsSequence() ? FindIn(ListMethods(), name) : nullptr;
}

Value CallBuiltin(Interpreter& run, const Builtin& builtin, const Value& self,
                  Arguments arguments) {
  // map('map', 'map', ...) goes down into a string's characters, which are strings again: as deep
  // as it has arguments, and each call holds a copy of those behind it.
  const Deeper deeper(&run.budget());
  run.budget().Make(arguments.positional.size() * sizeof(Value));
  size_t size = SizeOf(self);
  for (const Value& argument : arguments.positional) size += SizeOf(argument);
  run.budget().Step(size);
  BuiltinCall call{run, builtin, self, {}, {}};
  Bind(&call, std::move(arguments));
  return builtin.run(call);
}

}  // namespace lockstep::jinja
