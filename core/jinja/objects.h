// The values that change or act while a template runs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/jinja/builtins/builtins.h"
#include "core/jinja/interpreter.h"
#include "core/jinja/scopes.h"

namespace lockstep::jinja {

// namespace(found=false): what a loop can change for those outside it, by setting ns.found to true.
struct Namespace : Object {
  std::string_view TypeName() const override { return "namespace"; }
  Value Attribute(Interpreter& run, const std::string& name) override;

  std::map<std::string, Value> values;
};

// `closure` is the scope of the definition, not of the call: a macro sees the names around its
// text.
struct MacroObject : Object {
  MacroObject(const Macro* the_macro, std::shared_ptr<Scope> around)
      : macro(the_macro), closure(std::move(around)) {}
  std::string_view TypeName() const override { return "macro"; }
  bool IsCallable() const override { return true; }
  Value Call(Interpreter& run, Arguments arguments) override {
    return run.CallMacro(*macro, closure, std::move(arguments));
  }
  Value Attribute(Interpreter& run, const std::string& name) override;

  const Macro* macro;
  std::shared_ptr<Scope> closure;
};

// A builtin, or a method of `self` that is not called at once.
struct Function : Object {
  Function(const Builtin* what, Value of) : builtin(what), self(std::move(of)) {}
  std::string_view TypeName() const override { return "function"; }
  bool IsCallable() const override { return true; }
  Value Call(Interpreter& run, Arguments arguments) override {
    return CallBuiltin(run, *builtin, self, std::move(arguments));
  }

  const Builtin* builtin;
  Value self;
};

// The variable `loop`.
struct Loop : Object {
  std::string_view TypeName() const override { return "loop"; }
  bool IsCallable() const override { return true; }
  Value Call(Interpreter& run, Arguments arguments) override;
  Value Attribute(Interpreter& run, const std::string& name) override;

  const Stmt* stmt = nullptr;
  // Each turn's scope lies in this one, and so do the scopes of loop(...).
  std::shared_ptr<Scope> outside;
  std::vector<Value> items;
  size_t index = 0;  // from 0
  size_t depth = 0;  // from 0
  // The arguments of the last loop.changed(...), which asks whether they differ now.
  Value last_changed;
  bool has_changed = false;
};

// cycler(a, b): next() returns a, b, a, ... and `current` what next() would return.
struct Cycler : Object {
  std::string_view TypeName() const override { return "cycler"; }
  Value Attribute(Interpreter& run, const std::string& name) override;

  std::vector<Value> items;
  size_t position = 0;
};

// joiner(sep): the first call returns "", all others the separator.
struct Joiner : Object {
  std::string_view TypeName() const override { return "joiner"; }
  bool IsCallable() const override { return true; }
  Value Call(Interpreter& run, Arguments arguments) override;

  Value separator;
  bool used = false;
};

}  // namespace lockstep::jinja
