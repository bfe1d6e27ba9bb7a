// Runs a parsed template once. One thread; everything that it makes and that can change dies with
// it. All functions throw Failure where Python would raise, and where the budget is spent.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/jinja/ast.h"
#include "core/jinja/budget.h"
#include "core/jinja/value.h"

namespace lockstep::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// The variables of a block; those around it are found through `parent`. Chains are as long as tags
// are nested in the source.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<int, Value>> variables;  // slot, value

  void Set(int slot, Value value);
};

struct Loop;

class Interpreter {
 public:
  Interpreter(const Program& program, const TemplateLimits& limits);

  Text Run(const Dict& variables);
  int line() const { return line_; }  // of what runs, or of what failed
  Budget& budget() { return budget_; }

  // Making values.
  Value New(Text text);
  Value New(Builder builder) { return New(builder.Take()); }
  Value NewList(std::vector<Value> items, List::Kind kind = List::Kind::kList);
  Value NewDict(Dict dict);
  template <class T, class... Args>
  T* Own(Args&&... args) {
    budget_.Make(sizeof(T) + 64);
    auto object = std::make_unique<T>(std::forward<Args>(args)...);
    T* const raw = object.get();
    objects_.push_back(std::move(object));
    return raw;
  }

  // evaluate.cc
  Value Evaluate(const Expr& expr);
  Value Call(const Value& callee, Arguments arguments);
  Value CallMacro(const Macro& macro, const std::shared_ptr<Scope>& closure, Arguments arguments);
  Value CallLoop(Loop* loop, const Value& items);

  // attributes.cc
  Value Attribute(const Value& value, const std::string& name);  // value.name
  Value Item(const Value& value, const Value& key);              // value[key]
  Value Slice(const Value& value, const Value& begin, const Value& end, const Value& step);
  std::vector<Value> Items(const Value& value);  // what "for" goes through
  int64_t Length(const Value& value);

  // operators.cc
  Value Arithmetic(Operator op, const Value& a, const Value& b);
  Value Negative(const Value& value);
  bool Compare(Operator op, const Value& a, const Value& b);
  bool Equal(const Value& a, const Value& b);
  bool Less(const Value& a, const Value& b);
  bool Contains(const Value& container, const Value& item);

  // strings.cc
  Text Str(const Value& value);
  void AppendStr(const Value& value, Builder* out);
  void AppendRepr(const Value& value, bool trusted, Builder* out);

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  class Deeper;
  class NewScope;

  // interpreter.cc
  Flow Run(const Block& block);
  Flow Run(const Stmt& stmt);
  Flow RunIf(const Stmt& stmt);
  void RunLoop(const Stmt& stmt, const Value& items, size_t depth);
  void RunCallBlock(const Stmt& stmt);
  template <class Body>
  Text Captured(const Body& body);
  void Assign(const Expr& target, const Value& value);
  Value BlockValue(const Stmt& stmt);
  Value Lookup(const Expr& name) const;

  // evaluate.cc
  Value EvaluateCall(const Expr& expr);
  Value EvaluateCompare(const Expr& expr);
  Value EvaluateDict(const Expr& expr);
  Value EvaluateSlice(const Expr& expr);
  Arguments Evaluate(const CallArguments& arguments);

  const Program& program_;
  Budget budget_;
  int line_ = 0;
  std::shared_ptr<Scope> scope_;
  Builder output_;
  bool captured_ = false;  // output_ is a block's, not the prompt
  Value block_text_;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace lockstep::jinja
