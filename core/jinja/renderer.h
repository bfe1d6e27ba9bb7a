// Runs a parsed template once, in one thread. All functions throw Failure where Python would raise,
// and where the budget is spent.
#pragma once

#include <memory>

#include "core/jinja/ast.h"
#include "core/jinja/interpreter.h"
#include "core/jinja/scopes.h"

namespace lockstep::jinja {

class Renderer final : public Interpreter {
 public:
  // `program` must outlive it.
  Renderer(const Program& program, const TemplateLimits& limits);

  // REQUIRES: called once.
  Text Run(const Dict& variables);

  int line() const override { return line_; }
  Value CallMacro(const Macro& macro, const std::shared_ptr<Scope>& closure,
                  Arguments arguments) override;
  Value CallLoop(Loop* loop, const Value& items) override;

 private:
  static constexpr size_t kNamesPerStep = 16;  // that are compared when one is looked for

  // How a block ended. Break and continue travel as results to the loop that takes them.
  enum class Flow { kNormal, kBreak, kContinue };

  // renderer.cc
  Flow Run(const Block& block);
  Flow Run(const Stmt& stmt);
  Flow RunIf(const Stmt& stmt);
  void RunLoop(const Stmt& stmt, const Value& items, size_t depth);
  void RunCallBlock(const Stmt& stmt);
  template <class Body>
  Text Captured(const Body& body);
  void Assign(const Expr& target, const Value& value);
  Value BlockValue(const Stmt& stmt);
  void SetName(int slot, Value value);
  Value Lookup(const Expr& name);

  // renderer_expressions.cc
  Value Evaluate(const Expr& expr);
  Value Call(const Value& callee, Arguments arguments);
  Value EvaluateBuiltin(const Expr& expr);
  Value EvaluateCall(const Expr& expr);
  Value EvaluateCompare(const Expr& expr);
  Value EvaluateDict(const Expr& expr);
  Value EvaluateLogic(const Expr& expr);
  Value EvaluateSlice(const Expr& expr);
  Arguments Evaluate(const CallArguments& arguments);

  const Program& program_;
  // It is the line of what ran last, which is that of the failure, if a Failure says none.
  int line_ = 0;
  std::shared_ptr<Scope> scope_;
  Builder output_;
  bool captured_ = false;  // output_ is a block's, not the prompt
  // It is what kBlockText stands for, while the filters of a {% set %} or {% filter %} block run.
  Value block_text_;
};

}  // namespace lockstep::jinja
