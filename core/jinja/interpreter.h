// What values, objects and builtins may ask of the run of a template that they are part of: values,
// and what Python does with them. Renderer is the one that runs. One thread; everything made here
// that can change dies with the run. All functions throw Failure where Python would raise, and
// where the budget is spent.
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

// The arguments of one call, evaluated, in the order in which they stand.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Loop;
struct Scope;

// Throws the reason why it is undefined, if it is.
void RequireDefined(const Value& value);
// The value of a count, a width or an index. `user` needs it, which a Failure names.
int64_t RequireInt64(std::string_view user, const Value& value);

class Interpreter {
 public:
  virtual ~Interpreter() = default;
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  Budget& budget() { return budget_; }
  virtual int line() const = 0;  // the line that runs, or that failed
  virtual Value CallMacro(const Macro& macro, const std::shared_ptr<Scope>& closure,
                          Arguments arguments) = 0;
  // loop(items), in a loop marked as recursive.
  virtual Value CallLoop(Loop* loop, const Value& items) = 0;

  // Values that the run owns and its budget pays for (interpreter.cc).
  Value New(Text text);
  Value New(Builder builder) { return New(builder.Take()); }
  Value NewList(std::vector<Value> items, List::Kind kind = List::Kind::kList);
  Value NewDict(Dict dict);
  // The object lives as long as the run, and values point at it without owning it. 64 bytes stand
  // for what the allocation and objects_ add to it.
  template <class T, class... Args>
  T* Own(Args&&... args) {
    budget_.Make(sizeof(T) + 64);
    auto object = std::make_unique<T>(std::forward<Args>(args)...);
    T* const raw = object.get();
    objects_.push_back(std::move(object));
    return raw;
  }

  // What is inside a value (interpreter_attributes.cc).
  Value Attribute(const Value& value, const std::string& name);  // value.name
  Value Item(const Value& value, const Value& key);              // value[key]
  Value Slice(const Value& value, const Value& begin, const Value& end, const Value& step);
  std::vector<Value> Items(const Value& value);  // what "for" goes through
  int64_t Length(const Value& value);

  // Arithmetic and comparison by Python's rules (interpreter_operators.cc).
  Value Arithmetic(Operator op, const Value& a, const Value& b);
  Value Negative(const Value& value);
  bool Compare(Operator op, const Value& a, const Value& b);
  bool Equal(const Value& a, const Value& b);
  bool Less(const Value& a, const Value& b);
  bool Contains(const Value& container, const Value& item);

  // A value as text, by Python's str and repr (interpreter_text.cc).
  Text Str(const Value& value);
  void AppendStr(const Value& value, Builder* out);
  // `trusted` marks all that is written, also the texts inside, whatever marks they have.
  void AppendRepr(const Value& value, bool trusted, Builder* out);

 protected:
  explicit Interpreter(const TemplateLimits& limits) : budget_(limits) {}

 private:
  Budget budget_;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace lockstep::jinja
