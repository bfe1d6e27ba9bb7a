// The arguments of calls as rules of GBNF, in whichever form a model writes them. Pure but for what
// it collects; used by one thread.
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/chat/chat_piece.h"
#include "server/json/json_text.h"
#include "server/schema/json_schema.h"
#include "server/schema/schema_merge.h"

namespace lockstep {

class ArgumentRules {
 public:
  // All must outlive it.
  ArgumentRules(const CallForm& form, JsonGrammar* json, WorkMeter* meter)
      : form_(form), json_(*json), meter_(meter) {}

  // The name of the rule for the arguments of a function, {"name"[, "parameters", "strict"]}.
  // `where` is its schema's name in errors, which are kInvalidArgument.
  [[nodiscard]] Result<std::string> Add(const Json& function, const std::string& where);

  const std::string& rules() const { return rules_; }  // without those of JSON
  const StringParameters& strings() const { return strings_; }
  // What schemas that are not strict say in vain, beside what the JsonGrammar has dropped.
  const std::vector<std::string>& dropped() const { return dropped_; }

 private:
  // A value within the schema that is being added.
  struct Place {
    const Json& root;          // what references are relative to
    const std::string& where;  // the root's name
    std::string path;          // from there
    bool strict;
    bool optional = false;  // whether it may be left out
  };

  [[nodiscard]] Result<std::string> Named(const Json& schema, const Place& place,
                                          const std::string& tool);
  [[nodiscard]] Result<std::string> Chain(const Json& schema, const Place& place,
                                          std::string_view separator, const std::string& tool);
  [[nodiscard]] Result<std::string> Argument(const std::string& key, const Json& schema,
                                             const Place& place, const std::string& tool);
  [[nodiscard]] Result<std::string> Tagged(const Json& schema, const Place& place);
  // A string as it is, and `end`; NAME0 is the rule of any.
  [[nodiscard]] Result<std::string> Text(const Json& schema, const Place& place,
                                         const std::string& name, const std::string& end);
  [[nodiscard]] Result<std::string> Gemma(const Json& schema, const Place& place);
  [[nodiscard]] Result<std::string> GemmaReference(const Json& schema, const Place& place);
  [[nodiscard]] Result<std::string> GemmaListed(const Json& schema, const Place& place);
  [[nodiscard]] Result<std::string> GemmaChoice(const Json& schema, const Place& place,
                                                const std::string& keyword);
  [[nodiscard]] Result<std::string> GemmaOfType(const std::string& type, const Json& schema,
                                                const Place& place);
  [[nodiscard]] Result<std::string> GemmaList(const Json& schema, const Place& place);
  [[nodiscard]] Result<std::string> JsonValue(const Json& schema, const Place& place);
  static Place Child(const Place& place, const std::string& name) {
    return {place.root, place.where, ChildPointer(place.path, name), place.strict, place.optional};
  }
  JsonSchemaOptions Options(const Place& place) const {
    return {place.strict, meter_, &place.root, place.path, place.optional};
  }
  // Names the keyword as dropped, or is an error where the schema is strict.
  [[nodiscard]] Status Lose(const std::string& keyword, const Place& place);
  [[nodiscard]] Status Drop(const Json& schema, const Place& place,
                            std::initializer_list<std::string_view> kept);
  std::string AnyArguments();
  std::string Define(const std::string& body);  // the name of a new rule
  void DefineOnce(const std::string& name, const std::string& rules);

  const CallForm& form_;
  JsonGrammar& json_;
  WorkMeter* const meter_;
  std::string rules_;
  StringParameters strings_;
  std::vector<std::string> dropped_;
  std::set<std::string> defined_;
  std::map<std::string, std::string> texts_;       // rules of bare strings, by what is said
  std::map<const Json*, std::string> references_;  // rules of Gemma's definitions, of one schema
  size_t names_ = 0;
};

}  // namespace lockstep
