// The text of a grammar's rules while schemas are turned into them: those of any JSON value, then
// what SchemaReader adds. Used by one thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

class JsonRules {
 public:
  JsonRules();
  void Define(std::string_view name, std::string_view body);
  std::string NewName();  // of a rule that is yet to be defined
  // A new rule for exactly these texts; its name.
  std::string DefineTexts(std::vector<std::string> texts);
  // The names of the rules of any value and of any object.
  static std::string_view Value() { return "json-value"; }
  static std::string_view Object() { return "json-object"; }
  // The name of the rule that no text matches.
  static std::string_view Nothing() { return "json-nothing"; }

  const std::string& text() const { return text_; }
  // Forgets all rules behind the first `bytes` of text(): for who has tried in vain.
  void Truncate(size_t bytes) { text_.resize(bytes); }

 private:
  std::string text_;
  size_t names_ = 0;
};

// How often, as GBNF has it.
std::string Repetition(size_t least, std::optional<size_t> most);
// `item`, from least to most times, with commas between; then space.
std::string List(std::string_view item, size_t least, std::optional<size_t> most);

}  // namespace lockstep
