// Guards that undo themselves, also when a Failure passes.
#pragma once

#include <memory>
#include <utility>

#include "core/jinja/interpreter.h"

namespace lockstep::jinja {

class Interpreter::Deeper {
 public:
  explicit Deeper(Interpreter* run) : budget_(run->budget_) {
    budget_.Step();
    budget_.Enter();
  }
  ~Deeper() { budget_.Leave(); }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Budget& budget_;
};

class Interpreter::NewScope {
 public:
  NewScope(Interpreter* run, const std::shared_ptr<Scope>& parent)
      : run_(run), outer_(std::exchange(run->scope_, std::make_shared<Scope>(Scope{parent, {}}))) {}
  ~NewScope() { run_->scope_ = std::move(outer_); }
  NewScope(const NewScope&) = delete;
  NewScope& operator=(const NewScope&) = delete;

 private:
  Interpreter* const run_;
  std::shared_ptr<Scope> outer_;
};

}  // namespace lockstep::jinja
