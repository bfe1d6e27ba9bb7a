// Reads one JSON schema into rules of a grammar. Used once, by one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/json/json_text.h"
#include "server/schema/json_rules.h"
#include "server/schema/schema_options.h"

namespace lockstep {

class SchemaReader {
 public:
  // All must outlive the reader. Keywords that are dropped are appended to `dropped`.
  SchemaReader(JsonRules* rules, const Json& root, std::string_view where,
               const JsonSchemaOptions& options, std::vector<std::string>* dropped)
      : rules_(*rules), root_(root), where_(where), options_(options), dropped_(*dropped) {}
  Result<std::string> Read();

 private:
  // All take a schema and its JSON pointer, and return what can stand for it in a rule: a name or a
  // literal.
  using Rule = Result<std::string>;
  Rule Visit(const Json& schema, const std::string& path);
  Rule VisitObjectSchema(const Json& schema, const std::string& path);
  Rule Reference(const Json& schema, const std::string& path);
  Rule AllOf(const Json& schema, const std::string& path);
  Rule AnyOf(const Json& schema, const std::string& keyword, const std::string& path);
  Rule Values(const Json& schema, const std::string& path);
  Rule OfType(const std::string& type, const Json& schema, const std::string& path);
  Rule Integer(const Json& schema, const std::string& path);
  Rule Number(const Json& schema, const std::string& path);
  Rule String(const Json& schema, const std::string& path);
  Rule Array(const Json& schema, const std::string& path);
  Rule Object(const Json& schema, const std::string& path);
  // Of a schema with properties; `more` is empty or the rule of further members' values.
  Rule Members(const Json& schema, const std::string& more, const std::string& path);
  Rule Map(const Json& schema, const std::string& more, const std::string& path);

  Status CheckKeywords(const Json& schema, const std::string& path);
  Result<std::vector<std::string>> Types(const Json& schema, const std::string& path) const;
  Result<std::vector<std::string>> RequiredNames(const Json& schema, const std::string& path) const;
  // minX and maxX, 0 and nothing where they are missing.
  struct Sizes {
    size_t least = 0;
    std::optional<size_t> most;
  };
  Result<Sizes> ReadSizes(const Json& schema, const std::string& what,
                          const std::string& path) const;
  // The bounds that the keywords of numbers set; the narrower of two.
  struct Bound {
    double value = 0;
    bool exclusive = false;
  };
  Result<std::optional<Bound>> ReadBound(const Json& schema, bool lower,
                                         const std::string& path) const;

  // A string that is not one of `names`, as a member's name.
  std::string OtherName(std::vector<std::string> names);
  std::string Define(std::string_view body);
  tl::unexpected<Error> Refuse(const std::string& path, std::string_view problem) const;

  JsonRules& rules_;
  const Json& root_;
  const std::string where_;
  const JsonSchemaOptions& options_;
  std::vector<std::string>& dropped_;
  std::map<std::string, std::string> references_;  // rules, by reference
  size_t depth_ = 0, visits_ = 0;
};

}  // namespace lockstep
