// Making values, and asking them for what a builtin needs. What they take is counted before it is
// taken, so that a template that would fill the memory fails instead.
#include "core/jinja/interpreter.h"

namespace lockstep::jinja {

void RequireDefined(const Value& value) {
  const auto* undefined = value.As<Value::Undefined>();
  if (undefined == nullptr) return;
  if (undefined->why != nullptr) Throw("{}", *undefined->why);
  Throw("a value is undefined");
}

int64_t RequireInt64(std::string_view user, const Value& value) {
  if (value.IsInt64()) return value.Int64();
  if (value.IsInteger()) Throw("{} needs an integer of at most 64 bits", user);
  Throw("{} needs an integer, not a {}", user, value.TypeName());
}

Value Interpreter::New(Text text) {
  budget().Step();
  return MakeText(std::move(text));
}

// No deeper value comes to be in a run, so whatever recurses over values needs no limit of its own.
Value Interpreter::NewList(std::vector<Value> items, List::Kind kind) {
  budget().Make(sizeof(List) + items.size() * sizeof(Value));
  Value list = MakeList(std::move(items), kind);
  if (list.Depth() > Value::kMaxDepth)
    Throw("a list is nested more than {} deep", Value::kMaxDepth);
  return list;
}

Value Interpreter::NewDict(Dict dict) {
  // 128 bytes stand for an entry and for its node in the index.
  size_t bytes = sizeof(Dict);
  for (const auto& [key, entry] : dict.index) bytes += key.size() + 128;
  budget().Make(bytes);
  if (dict.depth > Value::kMaxDepth) Throw("a dict is nested more than {} deep", Value::kMaxDepth);
  return Value(std::make_shared<const Dict>(std::move(dict)));
}

}  // namespace lockstep::jinja
