// Statements of a running template, and jinja2's scopes: a loop, a macro and a block see the
// variables around them, but what they set is theirs and ends with them; {% if %} has no scope.
// Scopes link to the one around them, and a macro keeps the chain of where it was defined. A scope
// is a list of slots, which the parser numbered, so that no name is compared while a template runs.
#include "core/jinja/renderer.h"

#include "core/jinja/builtins/builtins.h"
#include "core/jinja/objects.h"

namespace lockstep::jinja {

Renderer::Renderer(const Program& program, const TemplateLimits& limits)
    : Interpreter(limits),
      program_(program),
      scope_(std::make_shared<Scope>()),
      output_(&budget()) {}

// Only names that the template has get their values. A request's variable hides a function of the
// same name, as in jinja2.
Text Renderer::Run(const Dict& variables) {
  for (size_t slot = 0; slot < program_.names.size(); ++slot) {
    const std::string& name = program_.names[slot];
    if (const Value* value = variables.Find(name)) {
      SetName(static_cast<int>(slot), *value);
    } else if (const Builtin* function = FindFunction(name)) {
      SetName(static_cast<int>(slot),
              Value(static_cast<Object*>(Own<Function>(function, Value()))));
    }
  }
  Run(program_.body);
  return output_.Take();
}

Renderer::Flow Renderer::Run(const Block& block) {
  for (const auto& stmt : block) {
    if (const Flow flow = Run(*stmt); flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

// What `body` would have added to the prompt. The limit of the prompt's length does not hold for
// it, only the budget: it may be cut down before it is printed. Where a Failure passes nothing is
// put back: the run is over.
template <class Body>
Text Renderer::Captured(const Body& body) {
  Builder outer = std::exchange(output_, Builder(&budget()));
  const bool outer_captured = std::exchange(captured_, true);
  body();
  captured_ = outer_captured;
  return std::exchange(output_, std::move(outer)).Take();
}

Renderer::Flow Renderer::Run(const Stmt& stmt) {
  const Deeper deeper(&budget());
  line_ = stmt.line;
  switch (stmt.kind) {
    case Stmt::Kind::kText:
      output_.Append(stmt.text);
      break;
    case Stmt::Kind::kPrint:
      AppendStr(Evaluate(*stmt.value), &output_);
      break;
    case Stmt::Kind::kFor:
      RunLoop(stmt, Evaluate(*stmt.value), 0);
      break;
    case Stmt::Kind::kIf:
      return RunIf(stmt);
    case Stmt::Kind::kSet:
      Assign(*stmt.target, Evaluate(*stmt.value));
      break;
    case Stmt::Kind::kSetBlock:
      Assign(*stmt.target, BlockValue(stmt));
      break;
    case Stmt::Kind::kFilter:
      AppendStr(BlockValue(stmt), &output_);
      break;
    case Stmt::Kind::kMacro:
      SetName(stmt.target->slot,
              Value(static_cast<Object*>(Own<MacroObject>(stmt.macro.get(), scope_))));
      break;
    case Stmt::Kind::kCall:
      RunCallBlock(stmt);
      break;
    case Stmt::Kind::kWith: {
      std::vector<Value> values;  // evaluated outside the new scope
      for (const auto& [target, value] : stmt.assignments) values.push_back(Evaluate(*value));
      const NewScope scope(&scope_, scope_);
      for (size_t i = 0; i < values.size(); ++i) Assign(*stmt.assignments[i].first, values[i]);
      return Run(stmt.body);
    }
    case Stmt::Kind::kBreak:
      return Flow::kBreak;
    case Stmt::Kind::kContinue:
      return Flow::kContinue;
  }
  if (!captured_ && output_.text().size() > budget().limits().output_bytes) {
    Throw("the prompt would be longer than {} bytes", budget().limits().output_bytes);
  }
  return Flow::kNormal;
}

Renderer::Flow Renderer::RunIf(const Stmt& stmt) {
  for (const auto& [condition, body] : stmt.branches) {
    if (condition == nullptr || Evaluate(*condition).Truth()) return Run(body);
  }
  return Flow::kNormal;
}

// What {% set x | filter %} and {% filter f %} make of their body's text.
Value Renderer::BlockValue(const Stmt& stmt) {
  Text text = Captured([&] {
    const NewScope scope(&scope_, scope_);
    Run(stmt.body);
  });
  Value outer = std::exchange(block_text_, New(std::move(text)));
  Value value = Evaluate(*stmt.value);
  block_text_ = std::move(outer);
  return value;
}

// The condition of "for x in y if z" is settled for all items before the first turn, since
// loop.length and loop.last count only those that pass. Each turn has a scope of its own, so what
// one sets the next does not see: templates that count have a namespace for it.
void Renderer::RunLoop(const Stmt& stmt, const Value& items, size_t depth) {
  Loop* const loop = Own<Loop>();
  loop->stmt = &stmt;
  loop->outside = scope_;
  loop->depth = depth;
  loop->items = Items(items);
  if (stmt.test != nullptr) {
    std::vector<Value> kept;
    for (Value& item : loop->items) {
      const NewScope scope(&scope_, loop->outside);
      Assign(*stmt.target, item);
      if (Evaluate(*stmt.test).Truth()) kept.push_back(std::move(item));
    }
    loop->items = std::move(kept);
  }
  const size_t count = loop->items.size();
  for (; loop->index < count; ++loop->index) {
    const NewScope scope(&scope_, loop->outside);
    SetName(kLoopSlot, Value(static_cast<Object*>(loop)));
    Assign(*stmt.target, loop->items[loop->index]);
    budget().Step();
    if (Run(stmt.body) == Flow::kBreak) break;
  }
  if (count == 0) {
    const NewScope scope(&scope_, loop->outside);
    Run(stmt.otherwise);
  }
}

// loop(children) inside a recursive loop: the same statement goes through other items, one level
// further down, and its text is the value of the call.
Value Renderer::CallLoop(Loop* loop, const Value& items) {
  return New(Captured([&] {
    const NewScope scope(&scope_, loop->outside);
    RunLoop(*loop->stmt, items, loop->depth + 1);
  }));
}

// {% call f() %}body{% endcall %} calls f with the body as a macro named caller.
void Renderer::RunCallBlock(const Stmt& stmt) {
  const Expr& call = *stmt.value;
  const Value callee = Evaluate(*call.operands[0]);
  Arguments arguments = Evaluate(call.arguments);
  Object* const caller = Own<MacroObject>(stmt.macro.get(), scope_);
  arguments.named.emplace_back("caller", Value(caller));
  AppendStr(Call(callee, std::move(arguments)), &output_);
}

// A macro's arguments bind as Python's do, with two differences: what is missing is undefined
// rather than an error, and what is too much is taken only by a macro whose body names varargs or
// kwargs. Defaults are evaluated in the macro's scope from left to right, so that (a, b=a) works.
Value Renderer::CallMacro(const Macro& macro, const std::shared_ptr<Scope>& closure,
                          Arguments arguments) {
  const Deeper deeper(&budget());
  const NewScope scope(&scope_, closure);
  const size_t count = macro.parameters.size();
  std::vector<bool> given(count);
  const auto give = [&](size_t at, Value value) {
    given[at] = true;
    SetName(macro.slots[at], std::move(value));
  };
  std::vector<Value>& positional = arguments.positional;
  for (size_t i = 0; i < std::min(count, positional.size()); ++i) give(i, std::move(positional[i]));
  if (positional.size() > count && !macro.uses_varargs) {
    Throw("macro {} takes at most {} arguments, not {}", macro.name, count, positional.size());
  }
  Dict others;
  bool has_caller = false;
  for (auto& [name, value] : arguments.named) {
    budget().Step(count / kNamesPerStep);
    size_t at = 0;
    while (at < count && macro.parameters[at] != name) ++at;
    if (at < count) {
      if (given[at]) Throw("macro {} is given {} twice", macro.name, name);
      give(at, std::move(value));
    } else if (name == "caller" && macro.uses_caller) {
      has_caller = true;
      SetName(kCallerSlot, std::move(value));
    } else if (macro.uses_kwargs) {
      others.Set(Literal(name), std::move(value));
    } else {
      Throw("macro {} has no parameter {}", macro.name, name);
    }
  }
  // Without this a macro would find the caller of the macro in which it was defined.
  if (macro.uses_caller && !has_caller) {
    SetName(kCallerSlot, Value::UndefinedBecause("no caller is defined"));
  }
  if (macro.uses_kwargs) SetName(kKwargsSlot, NewDict(std::move(others)));
  if (macro.uses_varargs) {
    positional.erase(positional.begin(), positional.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                  count, positional.size())));
    SetName(kVarargsSlot, NewList(std::move(positional), List::Kind::kTuple));
  }
  for (size_t i = 0; i < count; ++i) {
    if (given[i]) continue;
    // The name is set before its default is evaluated, so that (a=a) is undefined, as in jinja2,
    // rather than the `a` outside.
    SetName(macro.slots[i], Value::UndefinedBecause(fmt::format("parameter '{}' was not provided",
                                                                macro.parameters[i])));
    if (macro.defaults[i] != nullptr) {
      SetName(macro.slots[i], Evaluate(*macro.defaults[i]));
    }
  }
  return New(Captured([&] { Run(macro.body); }));
}

// A block with some dozens of names costs nothing more; one that was written to have thousands is
// looked through at the template's own expense.
void Renderer::SetName(int slot, Value value) {
  budget().Step(scope_->variables.size() / kNamesPerStep);
  scope_->Set(slot, std::move(value));
}

// A name is always set in the innermost scope, even if one further out has it; this is why only a
// namespace carries anything out of a loop.
void Renderer::Assign(const Expr& target, const Value& value) {
  if (target.kind == Expr::Kind::kName) return SetName(target.slot, value);
  if (target.kind == Expr::Kind::kAttribute) {
    const Value owner = Lookup(*target.operands[0]);
    auto* const space = dynamic_cast<Namespace*>(owner.AsObject());
    if (space == nullptr)
      Throw("cannot set an attribute of '{}': it is no namespace", target.operands[0]->name);
    space->values[target.name] = value;
    budget().Make(sizeof(Value));
    return;
  }
  const std::vector<Value> parts = Items(value);
  if (parts.size() != target.operands.size()) {
    Throw("cannot unpack {} values into {} names", parts.size(), target.operands.size());
  }
  for (size_t i = 0; i < parts.size(); ++i) Assign(*target.operands[i], parts[i]);
}

Value Renderer::Lookup(const Expr& name) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    budget().Step(scope->variables.size() / kNamesPerStep);
    for (const auto& [slot, value] : scope->variables) {
      if (slot == name.slot) return value;
    }
  }
  return Value::UndefinedBecause(fmt::format("'{}' is undefined", name.name));
}

}  // namespace lockstep::jinja
