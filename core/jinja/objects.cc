// Attributes and methods of the objects. Their methods are builtins as all others are, so that
// arguments are bound and counted in one way; they only are looked up here, by object, and not in a
// table by type.
#include "core/jinja/objects.h"

#include <array>

namespace lockstep::jinja {
namespace {

// The cast is safe here and below, as Method binds these functions to objects of their type only.
Value LoopChanged(BuiltinCall& call) {
  auto* const loop = static_cast<Loop*>(call.self.AsObject());
  const Value now = call.run.NewList(std::move(call.rest.positional), List::Kind::kTuple);
  const bool changed = !loop->has_changed || !call.run.Equal(loop->last_changed, now);
  loop->has_changed = true;
  loop->last_changed = now;
  return Value::Bool(changed);
}

Value LoopCycle(BuiltinCall& call) {
  const std::vector<Value>& values = call.rest.positional;
  if (values.empty()) Throw("loop.cycle needs something to cycle through");
  return values[static_cast<Loop*>(call.self.AsObject())->index % values.size()];
}

Value CyclerNext(BuiltinCall& call) {
  auto* const cycler = static_cast<Cycler*>(call.self.AsObject());
  Value now = cycler->items[cycler->position];
  cycler->position = (cycler->position + 1) % cycler->items.size();
  return now;
}

Value CyclerReset(BuiltinCall& call) {
  static_cast<Cycler*>(call.self.AsObject())->position = 0;
  return Value::Null();
}

constexpr std::array<Builtin, 2> kLoopMethods = {
    {{"changed", "*", LoopChanged}, {"cycle", "*", LoopCycle}}};
constexpr std::array<Builtin, 2> kCyclerMethods = {
    {{"next", "", CyclerNext}, {"reset", "", CyclerReset}}};

// Undefined where there is no such method: attributes are asked for before.
template <size_t kCount>
Value Method(Interpreter& run, const std::array<Builtin, kCount>& methods, Object* self,
             const std::string& name) {
  for (const Builtin& method : methods) {
    if (method.name == name) {
      return Value(static_cast<Object*>(run.Own<Function>(&method, Value(self))));
    }
  }
  return self->Object::Attribute(run, name);
}

}  // namespace

Value Namespace::Attribute(Interpreter& run, const std::string& name) {
  const auto at = values.find(name);
  return at == values.end() ? Object::Attribute(run, name) : at->second;
}

Value MacroObject::Attribute(Interpreter& run, const std::string& name) {
  return name == "name" ? Literal(macro->name) : Object::Attribute(run, name);
}

Value Loop::Attribute(Interpreter& run, const std::string& name) {
  const auto number = [](size_t value) { return Value::Int(static_cast<int64_t>(value)); };
  if (name == "index") return number(index + 1);
  if (name == "index0") return number(index);
  if (name == "revindex") return number(items.size() - index);
  if (name == "revindex0") return number(items.size() - index - 1);
  if (name == "first") return Value::Bool(index == 0);
  if (name == "last") return Value::Bool(index + 1 >= items.size());
  if (name == "length") return number(items.size());
  if (name == "depth") return number(depth + 1);
  if (name == "depth0") return number(depth);
  if (name == "previtem") {
    return index == 0 ? Value::UndefinedBecause("there is no previous item") : items[index - 1];
  }
  if (name == "nextitem") {
    return index + 1 < items.size() ? items[index + 1]
                                    : Value::UndefinedBecause("there is no next item");
  }
  return Method(run, kLoopMethods, this, name);
}

Value Loop::Call(Interpreter& run, Arguments arguments) {
  if (!stmt->recursive) Throw("loop() is for loops marked as recursive");
  if (arguments.positional.size() != 1) Throw("loop() takes one value to go through");
  return run.CallLoop(this, arguments.positional[0]);
}

Value Cycler::Attribute(Interpreter& run, const std::string& name) {
  return name == "current" ? items[position] : Method(run, kCyclerMethods, this, name);
}

Value Joiner::Call(Interpreter& /*run*/, Arguments /*arguments*/) {
  return std::exchange(used, true) ? separator : Literal("");
}

}  // namespace lockstep::jinja
