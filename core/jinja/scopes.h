// Where a running template keeps its variables, and guards that undo themselves, also when a
// Failure passes. They belong to one run, and so to one thread.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/jinja/budget.h"
#include "core/jinja/value.h"

namespace lockstep::jinja {

// The variables of a block; those around it are found through `parent`. Chains are as long as tags
// are nested in the source. A scope is shared since a macro keeps the one where it was defined,
// also when its block has ended. Values refer to macros without owning them, so no scope owns
// itself in a circle.
struct Scope {
  std::shared_ptr<Scope> parent;
  // Few are set in one block, so looking through all of them takes little time.
  std::vector<std::pair<int, Value>> variables;  // slot, value

  void Set(int slot, Value value) {
    for (auto& [known, old] : variables) {
      if (known != slot) continue;
      old = std::move(value);
      return;
    }
    variables.emplace_back(slot, std::move(value));
  }
};

// One step further down in nested statements, expressions and calls.
class Deeper {
 public:
  explicit Deeper(Budget* budget) : budget_(*budget) {
    budget_.Step();
    budget_.Enter();
  }
  ~Deeper() { budget_.Leave(); }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Budget& budget_;
};

// Makes *current a new scope within `parent`, and puts back in the end what it was.
class NewScope {
 public:
  NewScope(std::shared_ptr<Scope>* current, const std::shared_ptr<Scope>& parent)
      : current_(*current),
        outer_(std::exchange(*current, std::make_shared<Scope>(Scope{parent, {}}))) {}
  ~NewScope() { current_ = std::move(outer_); }
  NewScope(const NewScope&) = delete;
  NewScope& operator=(const NewScope&) = delete;

 private:
  std::shared_ptr<Scope>& current_;
  std::shared_ptr<Scope> outer_;
};

}  // namespace lockstep::jinja
