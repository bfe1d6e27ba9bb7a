// The text of a grammar's rules while schemas are turned into them: those of any JSON value, then
// what SchemaReader adds. Used by one thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep {

class JsonRules {
 public:
  JsonRules();
  void Define(std::string_view name, std::string_view body);
  std::string NewName();  // of a rule that is yet to be defined
  // The names of the rules of any value and of any object.
  static std::string_view Value() { return "json-value"; }
  static std::string_view Object() { return "json-object"; }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  size_t names_ = 0;
};

}  // namespace lockstep
