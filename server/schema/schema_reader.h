// Reads one JSON schema into rules of a grammar. Used once, by one thread.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "server/json/json_set.h"
#include "server/json/json_text.h"
#include "server/schema/json_number.h"
#include "server/schema/json_rules.h"
#include "server/schema/language.h"
#include "server/schema/schema_options.h"

namespace lockstep {

class SchemaReader {
 public:
  // All must outlive the reader. Keywords that are dropped are appended to `dropped`.
  SchemaReader(JsonRules* rules, const Json& schema, std::string_view where,
               const JsonSchemaOptions& options, std::vector<std::string>* dropped)
      : rules_(*rules),
        schema_(schema),
        root_(options.root == nullptr ? schema : *options.root),
        where_(where),
        options_(options),
        dropped_(*dropped),
        choices_(options.optional ? 1 : 0) {}
  Result<std::string> Read();
  Result<std::string> ReadBareText(std::string_view end);

 private:
  // All take a schema and its JSON pointer, and return what can stand for it in a rule: a name or a
  // literal.
  using Rule = Result<std::string>;
  // minX and maxX, 0 and nothing where they are missing.
  struct Sizes {
    size_t least = 0;
    std::optional<size_t> most;
    bool none() const { return most && *most < least; }
  };
  Rule Visit(const Json& schema, const std::string& path);
  // Visits what may also be left out, unless it is required.
  Rule VisitIf(bool required, const Json& schema, const std::string& path);
  // Visits it again without each keyword at fault, where that is what the options say.
  Rule VisitDropping(const Json& schema, const std::string& path);
  Rule VisitObjectSchema(const Json& schema, const std::string& path);
  // The rule of a schema that is visited when the current one is done: so that a reference is no
  // depth, and may lead back to where it stands. Equal keys are equal schemas.
  std::string Later(const std::string& key, const Json& schema, const std::string& path);
  Rule Reference(const Json& schema, const std::string& path);
  Rule AllOf(const Json& schema, const std::string& path);
  Rule AnyOf(const Json& schema, const std::string& keyword, const std::string& path);
  Rule Not(const Json& schema, const std::string& path);
  Rule OfType(const std::string& type, const Json& schema, const std::string& path);

  // In schema_one_of.cc: the schemas of oneOf such that no value that is written for one is allowed
  // by another; `rest` is what stands beside it.
  Result<Json> ToldApart(const Json& parts, const Json& rest, const std::string& path);
  // Tells one of them apart from the others.
  Result<Json> Apart(const Json& parts, size_t i, const Json& rest, const std::string& path);
  // Whether that is so as they are, as far as it can be seen. `whole`: whether `written` is all
  // that is said of its value.
  bool Excludes(const Json& other, const Json& written, bool whole, size_t depth = 0);
  bool ExcludesValues(const Json& other, const std::vector<Json>& written);
  bool ExcludesType(std::string_view type, const Json& other, const Json& written, bool whole,
                    size_t depth);
  bool ExcludesTexts(const Json& other, const Json& written);
  bool ExcludesNumbers(const Json& other, const Json& written);
  bool ExcludesArrays(const Json& other, const Json& written, bool whole, size_t depth);
  bool ExcludesObjects(const Json& other, const Json& written, bool whole, size_t depth);
  // A member about which the two disagree wherever it is; nullptr if there is none.
  const std::string* Discriminator(const Json& other, const Json& written, bool whole);

  // In schema_arrays.cc: arrays, and their items that must be there or must differ.
  Rule Array(const Json& schema, const std::string& path);
  Rule Contains(const Json& schema, const std::string& item, const std::string& path);
  Rule Unique(const std::vector<Json>& values, const Sizes& sizes, const std::string& path);

  // In schema_objects.cc: objects, their members and the names of these.
  Rule Object(const Json& schema, const std::string& path);
  // A member that the schema names.
  struct Member {
    std::string rule;
    bool required;
  };
  // The members in order, with commas between, then `end`; `other` is empty or the rule of further
  // ones.
  Rule Members(const std::vector<Member>& members, const std::string& other, Sizes sizes,
               std::string_view end, const std::string& path);
  // The rule of a member that is not among `names`, or empty if there is none.
  Rule OtherMember(const Json& schema, const std::vector<std::string>& names, bool closed,
                   const std::string& path);
  // The properties of a schema, required ones that are not listed among them, each with what
  // patternProperties says about its name.
  Result<Json> Properties(const Json& schema, const std::vector<std::string>& required,
                          const std::string& path);
  struct NamePattern {
    Language names;
    Json schema;
  };
  Result<std::vector<NamePattern>> NamePatterns(const Json& schema, const std::string& path);

  // In schema_texts.cc: what keywords say about strings, as languages.
  Rule String(const Json& schema, const std::string& path);
  // What becomes of minLength and maxLength.
  enum class TextLengths {
    kLeftOut,
    kExact,
    kShortened,  // exact or, where that takes too many states, with fewer of the texts
  };
  Result<Language> TextLanguage(const Json& schema, const std::string& path, TextLengths lengths);
  Result<Language> Pieces(const Json& schema, std::optional<size_t> most, const std::string& path);
  Result<Language> NameLanguage(const Json& schema, const std::string& path);
  Result<Language> NameChoice(const Json& names, const std::string& keyword,
                              const std::string& path);
  // The language of a pattern or a format, in texts of at most `most` characters if there are such.
  Result<Language> PatternOf(const Json& pattern, const std::string& keyword,
                             const std::string& path, std::optional<size_t> most = {}) const;
  Result<Sizes> ReadSizes(const Json& schema, const std::string& what,
                          const std::string& path) const;

  // In schema_bare_texts.cc: strings without quotes and escapes, in front of `end`.
  Rule BareText(const Json& schema, std::string_view end);
  Result<Language> BareLanguage(const Json& schema, std::string_view end);

  // In schema_numbers.cc: bounds and steps, as a language of the numbers' texts.
  Rule Number(const Json& schema, bool integer, const std::string& path);
  Result<NumberRange> ReadRange(const Json& schema, bool integer, const std::string& path) const;
  Result<Language> Numbers(const NumberRange& range, const std::string& path) const;

  // In schema_values.cc: an enum or a const, without what other keywords forbid.
  Rule Values(const Json& schema, const std::string& path);
  // What the keywords say of a listed value, as far as it was asked for.
  struct Admission {
    std::map<std::string_view, std::string_view> asks;  // by type of values, a keyword
    JsonSet forbidden;
    std::optional<Language> texts;
    std::optional<NumberRange> numbers;
    Sizes lengths;
  };
  static Admission AdmissionTo(const Json& schema);
  Result<bool> Admits(const Json& schema, const Json& value, const std::string& path,
                      Admission* admission);
  // The values that a schema lists, references followed; nothing if it does not list them.
  std::optional<std::vector<Json>> Listed(const Json& schema) const;
  // Whether the value is of one of these types; no list of types needs to be longer than kMaxTypes.
  static bool IsOneOf(const Json& value, const Json& types);
  static constexpr size_t kMaxTypes = 32;

  Result<std::vector<std::string>> Types(const Json& schema, const std::string& path) const;
  Result<std::vector<std::string>> RequiredNames(const Json& schema, const std::string& path) const;
  // What `schema` refers to if it is nothing but a reference, else the schema itself. A ring of
  // references ends with one of them.
  const Json& Resolved(const Json& schema) const;

  std::string Define(std::string_view body);
  // No value is allowed because of `keyword`: its fault, unless there are other choices.
  Rule Nothing(const std::string& path, std::string_view keyword, std::string_view problem) const;
  // The keyword at fault is the first of `keywords` that the schema at `path` has.
  Rule Nothing(const Json& schema, std::initializer_list<const char*> keywords,
               const std::string& path, std::string_view problem) const;
  // `keyword` of the schema at `path` cannot be held to, and could be dropped.
  tl::unexpected<Error> FailKeyword(const std::string& path, std::string_view keyword,
                                    std::string_view problem) const;
  tl::unexpected<Error> Fail(const std::string& path, std::string_view problem) const;
  // What is paid for: the values in a schema.
  static uint64_t Weight(const Json& schema);
  // `schema` as it holds together with others: what it says of unevaluated members and items is
  // about its own. If not strict, without the keywords that cannot be so.
  Result<Json> Beside(Json schema, const std::vector<const Json*>& others, const std::string& path);
  // MergeSchemas; if not strict, without the keywords of `b`, or else of `a`, that cannot be
  // joined.
  Result<Json> Join(Json a, const std::string& a_path, Json b, const std::string& b_path);
  void Drop(const std::string& path, const std::string& keyword);
  [[nodiscard]] Status Pay(uint64_t units) const { return Spend(options_.meter, units); }

  JsonRules& rules_;
  const Json& schema_;  // what is read
  const Json& root_;    // what references are relative to
  const std::string where_;
  const JsonSchemaOptions& options_;
  std::vector<std::string>& dropped_;

  // Read still has to visit this schema, whose rule is named in others already.
  struct Pending {
    std::string rule;
    Json schema;
    std::string path;
    size_t choices;
  };
  std::vector<Pending> pending_;
  std::map<std::string, std::string> later_;            // rules, by Later's keys
  std::vector<std::string> later_keys_;                 // in the order of their arrival
  std::set<std::pair<std::string, std::string>> lost_;  // path and keyword
  mutable std::pair<std::string, std::string> fault_;   // of the last FailKeyword
  // choices_ counts the alternatives around the schema that is read; to leave a member or an item
  // out is one. Above 0, a schema that allows no value takes away one alternative and is no error.
  size_t depth_ = 0, visits_ = 0, choices_;
};

}  // namespace lockstep
