// The part of SchemaReader that is about arrays. A grammar that counts two things at once is as
// large as their product, so that some arrays are left out: where both are counted, the items that
// `contains` asks for come first, and more than a few unique items in the order of their list.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "core/grammar/grammar.h"
#include "server/schema/schema_merge.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

constexpr size_t kMaxContained = 100;  // of minContains
constexpr size_t kMaxFree = 6;         // values whose subsets are few enough to list

constexpr std::string_view kComma = "\",\" json-ws ";

}  // namespace

SchemaReader::Rule SchemaReader::Array(const Json& schema, const std::string& path) {
  TRY(Sizes sizes, ReadSizes(schema, "Items", path));
  if (sizes.none()) return Nothing(path, "maxItems", "no number of items is allowed");
  // In older drafts `items` may be the list that is now called prefixItems.
  const bool old_list = schema.contains("items") && schema["items"].is_array();
  const char* const prefix_keyword = old_list ? "items" : "prefixItems";
  const char* items_keyword = old_list ? "additionalItems" : "items";
  if (!schema.contains(items_keyword)) items_keyword = "unevaluatedItems";
  const Json prefix = schema.value(prefix_keyword, Json::array());
  if (!prefix.is_array()) return FailKeyword(path, prefix_keyword, "must be a list of schemas");
  const bool has_items = schema.contains(items_keyword);
  // Whoever lists the items of a tuple means all of them. One that refers may lead back here, and
  // would then have no end.
  if (!schema.contains("minItems") && Dump(prefix).find("\"$ref\"") == std::string::npos) {
    sizes.least = std::min(prefix.size(), sizes.most.value_or(prefix.size()));
  }
  if (schema.value("uniqueItems", Json(false)) == true && sizes.most.value_or(2) > 1) {
    const auto values = has_items && prefix.empty() && !schema.contains("contains")
                            ? Listed(schema[items_keyword])
                            : std::nullopt;
    if (values) return Unique(*values, sizes, path);
    return FailKeyword(path, "uniqueItems",
                       "is supported only for items of an enum; leave it out or set it to false");
  }
  std::string item;  // empty: there are no others than those of the prefix
  if (has_items ? schema[items_keyword] != false : prefix.empty()) {
    const std::string at = ChildPointer(path, items_keyword);
    TRY(item,
        VisitIf(sizes.least > prefix.size(), has_items ? schema[items_keyword] : Json(true), at));
    if (item == JsonRules::Nothing()) item.clear();
  }
  const bool none_needed = schema.value("minContains", Json(1)) == 0;
  if (schema.contains("contains") && (!none_needed || schema.contains("maxContains"))) {
    return Contains(schema, item, path);
  }
  const size_t prefixed = std::min(prefix.size(), sizes.most.value_or(prefix.size()));
  if (item.empty() && sizes.least > prefixed) {
    return Nothing(path, "minItems", "asks for more items than there are schemas");
  }
  if (prefixed == 0) {
    return Define("\"[\" json-ws " + (item.empty() ? "" : List(item, sizes.least, sizes.most)) +
                  " \"]\"");
  }
  std::string tail = "\"\"";  // what comes after the prefix
  if (!item.empty()) {
    std::optional<size_t> most = sizes.most;
    if (most) *most -= prefixed;
    tail = fmt::format("({}{}){}", kComma, item,
                       Repetition(sizes.least - std::min(sizes.least, prefixed), most));
  }
  // From the last item back to the first, each rule holds what may follow its item, so that an
  // optional item is left out together with all behind it: a (, b (, c)?)? for minItems 1.
  for (size_t i = prefixed; i-- > 0;) {
    TRY(const std::string rule,
        VisitIf(i < sizes.least, prefix[i],
                ChildPointer(ChildPointer(path, prefix_keyword), std::to_string(i))));
    tail = fmt::format("{} {} {}", i > 0 ? kComma : "", rule, tail);
    if (i == 0) tail += " json-ws";
    if (i >= sizes.least) tail = Define(tail) + "?";
  }
  return Define("\"[\" json-ws " + tail + " \"]\"");
}

// At least minContains of the items are also what `contains` says. Where the number of items is
// bounded, they are the first ones: a grammar that counts all and these would be their product.
SchemaReader::Rule SchemaReader::Contains(const Json& schema, const std::string& item,
                                          const std::string& path) {
  if (schema.contains("maxContains")) {
    return FailKeyword(path, "maxContains", "is not supported");
  }
  if (schema.contains("prefixItems") || schema.value("items", Json()).is_array()) {
    return FailKeyword(path, "contains", "is not supported beside prefixItems");
  }
  TRY(const Sizes sizes, ReadSizes(schema, "Items", path));
  const Json& least = schema.value("minContains", Json(1));
  if (!least.is_number_integer() || least < 1 || least > kMaxContained) {
    return FailKeyword(path, "minContains",
                       fmt::format("must be a whole number up to {}", kMaxContained));
  }
  const auto count = least.get<size_t>();
  if (sizes.most && *sizes.most < count) {
    return Nothing(path, "maxItems", "is below minContains, so no value is allowed");
  }
  if (item.empty()) return Nothing(path, "contains", "asks for items that are forbidden");
  const std::string at = ChildPointer(path, "contains");
  const Json items = schema.value("items", Json(true)), &matches = Resolved(schema["contains"]);
  const std::string items_at = ChildPointer(path, "items");
  TRY(Json own, Beside(items, {&matches}, items_at));
  TRY(Json also, Beside(matches, {&items}, at));
  TRY(const Json both, Join(std::move(own), items_at, std::move(also), at));
  if (both == false) return Nothing(path, "contains", "asks for items that are forbidden");
  TRY(const std::string contained, Visit(both, at));
  // Without an upper bound nothing but the matches has to be counted, and they may stand anywhere.
  const std::string others = fmt::format("({}{})", kComma, item);
  if (sizes.least <= count && !sizes.most) {
    return Define(
        fmt::format("\"[\" json-ws ({0} {1})* {2} ({3}* {1}{2}){{{4}}} {3}* json-ws \"]\"", item,
                    kComma, contained, others, count - 1));
  }
  std::optional<size_t> most = sizes.most;
  if (most) *most -= count;
  const size_t rest = sizes.least - std::min(sizes.least, count);
  return Define(fmt::format("\"[\" json-ws {2} ({1}{2}){{{4}}} {3}{5} json-ws \"]\"", item, kComma,
                            contained, others, count - 1, Repetition(rest, most)));
}

// Each of the values at most once. Which have come is one of 2^n states; beyond a few values, they
// come in the order of the list instead, so that only the last one matters.
SchemaReader::Rule SchemaReader::Unique(const std::vector<Json>& values, const Sizes& sizes,
                                        const std::string& path) {
  if (sizes.least > values.size()) {
    return Nothing(path, "minItems", "asks for more items than there are different ones");
  }
  if (values.size() > kMaxFree) {
    std::vector<Member> items;
    items.reserve(values.size());
    for (const Json& value : values) items.push_back({GbnfLiteral(Dump(value)), false});
    TRY(const std::string list, Members(items, "", sizes, "\"]\"", path));
    return Define("\"[\" json-ws " + list);
  }
  // The rule names[set] writes what may follow once the values of the bits in `set` have come.
  std::vector<std::string> names;
  const size_t sets = size_t{1} << values.size();
  for (size_t set = 0; set < sets; ++set) names.push_back(rules_.NewName());
  for (size_t set = 0; set < sets; ++set) {
    const auto count = static_cast<size_t>(std::popcount(set));
    std::string choices;
    if (count >= sizes.least) choices = count == 0 ? "\"]\"" : "json-ws \"]\"";
    for (size_t i = 0; i < values.size() && (!sizes.most || count < *sizes.most); ++i) {
      if ((set >> i & 1) != 0) continue;
      choices += fmt::format("{}{} {} {}", choices.empty() ? "" : " | ", count == 0 ? "" : kComma,
                             GbnfLiteral(Dump(values[i])), names[set | size_t{1} << i]);
    }
    rules_.Define(names[set], choices.empty() ? JsonRules::Nothing() : choices);
  }
  return Define("\"[\" json-ws " + names[0]);
}

}  // namespace lockstep
