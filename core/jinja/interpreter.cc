// Making values. What they take is counted before it is taken, so that a template that would fill
// the memory fails instead.
#include "core/jinja/interpreter.h"

namespace lockstep::jinja {

Value Interpreter::New(Text text) {
  budget().Step();
  return MakeText(std::move(text));
}

Value Interpreter::NewList(std::vector<Value> items, List::Kind kind) {
  budget().Make(sizeof(List) + items.size() * sizeof(Value));
  Value list = MakeList(std::move(items), kind);
  if (list.Depth() > Value::kMaxDepth)
    Throw("a list is nested more than {} deep", Value::kMaxDepth);
  return list;
}

Value Interpreter::NewDict(Dict dict) {
  size_t bytes = sizeof(Dict);
  for (const auto& [key, entry] : dict.index) bytes += key.size() + 128;
  budget().Make(bytes);
  if (dict.depth > Value::kMaxDepth) Throw("a dict is nested more than {} deep", Value::kMaxDepth);
  return Value(std::make_shared<const Dict>(std::move(dict)));
}

}  // namespace lockstep::jinja
