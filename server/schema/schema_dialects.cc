// Two walks over the schemas of a schema: one finds what has a name, the other puts pointers in the
// place of names. A name is looked for in the schema alone, never elsewhere: a server that loads
// what its clients name could be sent anywhere. Example, of TypeBox's recursive types:
//
//   {"properties": {"root": {"$id": "T0", "items": {"$ref": "T0"}}}}
//   {"properties": {"root": {"$id": "T0", "items": {"$ref": "#/properties/root"}}}}
#include "server/schema/schema_dialects.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "server/schema/schema_merge.h"

namespace lockstep {
namespace {

// Whose members are schemas by any name, and what has values that look like schemas.
constexpr std::string_view kNamed[] = {"properties", "patternProperties", "$defs", "definitions",
                                       "dependentSchemas"};
constexpr std::string_view kValues[] = {"enum", "const", "default", "examples", "example"};

// In the fragment of a URI, as which a reference is read (RFC 6901), a % begins a byte's number.
std::string AsFragment(std::string_view pointer) {
  std::string out = "#";
  for (const char c : pointer) out += c == '%' ? "%25" : std::string(1, c);
  return out;
}

// visit(schema, pointer) for each schema in `json`, the outer ones first.
template <class J, class Visit>
void Walk(J& json, const std::string& pointer, const Visit& visit) {
  if (json.is_array()) {
    for (size_t i = 0; i < json.size(); ++i) {
      Walk(json[i], ChildPointer(pointer, std::to_string(i)), visit);
    }
  }
  if (!json.is_object()) return;
  visit(json, pointer);
  for (auto member = json.begin(); member != json.end(); ++member) {
    const std::string& keyword = member.key();
    if (std::ranges::count(kValues, keyword) > 0) continue;
    const std::string at = ChildPointer(pointer, keyword);
    if (std::ranges::count(kNamed, keyword) == 0 || !member->is_object()) {
      Walk(*member, at, visit);
      continue;
    }
    for (auto named = member->begin(); named != member->end(); ++named) {
      Walk(*named, ChildPointer(at, named.key()), visit);
    }
  }
}

// Where the schemas are that have a name; "" is the root's pointer. A name that two have is no
// name.
class Names {
 public:
  explicit Names(const Json& root) {
    Add(ids_, "", "");
    Walk(root, "", [this](const Json& schema, const std::string& pointer) {
      for (const char* keyword : {"$id", "id"}) {
        const std::string id = TextField(schema, keyword);
        if (id.empty() || id == "#") continue;
        if (id[0] == '#') Add(anchors_, id.substr(1), pointer);
        Add(ids_, id.substr(0, id.find('#')), pointer);  // "" if it is an anchor
        // Relative to whatever: https://host/folder/name is also called name.
        if (const size_t slash = id.rfind('/'); slash != id.npos) {
          Add(ids_, id.substr(slash + 1), pointer);
        }
      }
      for (const char* keyword : {"$anchor", "$dynamicAnchor"}) {
        if (const std::string name = TextField(schema, keyword); !name.empty()) {
          Add(anchors_, name, pointer);
        }
      }
    });
  }

  // What a reference becomes: "T0#/items" is what T0's pointer and /items are.
  std::optional<std::string> PointerOf(const std::string& reference) const {
    const size_t hash = reference.find('#');
    const std::string id = reference.substr(0, hash);
    const std::string fragment = hash == reference.npos ? "" : reference.substr(hash + 1);
    const bool is_pointer = fragment.empty() || fragment[0] == '/';
    const auto* const found = is_pointer ? Find(ids_, id) : Find(anchors_, fragment);
    if (found == nullptr) return std::nullopt;
    return AsFragment(*found) + (is_pointer ? fragment : "");
  }

 private:
  using Pointers = std::map<std::string, std::optional<std::string>, std::less<>>;

  static void Add(Pointers& names, const std::string& name, const std::string& pointer) {
    if (name.empty() && !pointer.empty()) return;  // the root's
    const auto [known, is_new] = names.try_emplace(name, pointer);
    if (!is_new && known->second != pointer) known->second.reset();
  }
  static const std::string* Find(const Pointers& names, std::string_view name) {
    const auto found = names.find(name);
    return found == names.end() || !found->second ? nullptr : &*found->second;
  }

  Pointers ids_, anchors_;
};

void NameByPointer(const Names& names, Json& schema) {
  for (const char* keyword : {"$ref", "$dynamicRef", "$recursiveRef"}) {
    const auto given = schema.find(keyword);
    if (given == schema.end() || !given->is_string()) continue;
    const auto pointer = names.PointerOf(given->get<std::string>());
    if (!pointer) continue;
    if (keyword != std::string_view("$ref")) schema.erase(keyword);
    schema["$ref"] = *pointer;
  }
}

// {"minimum": 0, "exclusiveMinimum": true} is {"exclusiveMinimum": 0}.
void BoundByNumber(Json& schema) {
  for (const auto& [bound, exclusive] :
       {std::pair("minimum", "exclusiveMinimum"), std::pair("maximum", "exclusiveMaximum")}) {
    const auto given = schema.find(exclusive);
    if (given == schema.end() || !given->is_boolean()) continue;
    const bool excludes = *given == true && schema.contains(bound);
    if (*given == true && !excludes) continue;
    schema.erase(exclusive);
    if (!excludes) continue;
    schema[exclusive] = schema[bound];
    schema.erase(bound);
  }
}

// null is absence here as in all of a request, but where it is a value.
void LeaveOutNulls(Json& schema) {
  for (auto member = schema.begin(); member != schema.end();) {
    const bool is_value = std::ranges::count(kValues, member.key()) > 0 && member.key() != "enum";
    member = member->is_null() && !is_value ? schema.erase(member) : std::next(member);
  }
}

}  // namespace

Json InOneDialect(Json schema) {
  const Names names(schema);
  Walk(schema, "", [&names](Json& part, const std::string&) {
    LeaveOutNulls(part);
    NameByPointer(names, part);
    BoundByNumber(part);
  });
  return schema;
}

}  // namespace lockstep
