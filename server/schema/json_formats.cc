// A format is a pattern that is as narrow as the validators in use are strict: what it matches is
// valid by the standard, and not all that is valid is matched.
#include "server/schema/json_formats.h"

#include <algorithm>
#include <array>
#include <utility>

namespace lockstep {
namespace {

struct Format {
  std::string_view name, pattern;
};

// Dates and times follow RFC 3339, durations ISO 8601, labels of hostnames RFC 1123 (at most 63
// characters), addresses RFC 4291 (one :: at most, no embedded IPv4) and UUIDs RFC 9562. No leap
// second, no year before 1000, no quoted local part, URIs of the web only, no two hyphens beside
// each other in the host of either: what nobody writes, and some validators refuse, is left out.
//
// The alternatives of a date are the months of 31 days, those of 30, February up to the 28th, and
// 29 February in the years that are leap years: those divisible by 4, but of the centuries only
// those divisible by 400. The alternatives of an IPv6 address are the places where :: can stand.
//
// A count such as {1,30} bounds the text where the standard does not, since a model can otherwise
// go on in it without end.
constexpr Format kFormats[] = {
    {"date",
     R"(^(([1-9]\d{3})-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|([1-9]\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)$)"},
    {"time", R"(^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$)"},
    {"date-time",
     R"(^(([1-9]\d{3})-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|([1-9]\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$)"},
    {"duration",
     R"(^P((\d{1,6}Y(\d{1,6}M)?(\d{1,6}D)?|\d{1,6}M(\d{1,6}D)?|\d{1,6}D)(T(\d{1,6}H(\d{1,6}M)?(\d{1,6}S)?|\d{1,6}M(\d{1,6}S)?|\d{1,6}S))?|\d{1,6}W|T(\d{1,6}H(\d{1,6}M)?(\d{1,6}S)?|\d{1,6}M(\d{1,6}S)?|\d{1,6}S))$)"},
    {"email",
     R"(^[A-Za-z0-9_+-]{1,30}(\.[A-Za-z0-9_+-]{1,20}){0,2}@([A-Za-z0-9][A-Za-z0-9]?(-?[A-Za-z0-9]){0,30}\.){1,3}[A-Za-z]{2,20}$)"},
    {"hostname",
     R"(^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,2}$)"},
    {"ipv4", R"(^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$)"},
    {"ipv6",
     R"(^(([\da-fA-F]{1,4}:){7}[\da-fA-F]{1,4}|([\da-fA-F]{1,4}:){1,7}:|([\da-fA-F]{1,4}:){1,6}:[\da-fA-F]{1,4}|([\da-fA-F]{1,4}:){1,5}(:[\da-fA-F]{1,4}){1,2}|([\da-fA-F]{1,4}:){1,4}(:[\da-fA-F]{1,4}){1,3}|([\da-fA-F]{1,4}:){1,3}(:[\da-fA-F]{1,4}){1,4}|([\da-fA-F]{1,4}:){1,2}(:[\da-fA-F]{1,4}){1,5}|[\da-fA-F]{1,4}:(:[\da-fA-F]{1,4}){1,6}|:((:[\da-fA-F]{1,4}){1,7}|:))$)"},
    {"uuid", R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{12}$)"},
    {"uuid1",
     R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-1[\da-fA-F]{3}-[89abAB][\da-fA-F]{3}-[\da-fA-F]{12}$)"},
    {"uuid3",
     R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-3[\da-fA-F]{3}-[89abAB][\da-fA-F]{3}-[\da-fA-F]{12}$)"},
    {"uuid4",
     R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-4[\da-fA-F]{3}-[89abAB][\da-fA-F]{3}-[\da-fA-F]{12}$)"},
    {"uuid5",
     R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-5[\da-fA-F]{3}-[89abAB][\da-fA-F]{3}-[\da-fA-F]{12}$)"},
    {"uuid6",
     R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-6[\da-fA-F]{3}-[89abAB][\da-fA-F]{3}-[\da-fA-F]{12}$)"},
    {"uuid7",
     R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-7[\da-fA-F]{3}-[89abAB][\da-fA-F]{3}-[\da-fA-F]{12}$)"},
    {"uuid8",
     R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-8[\da-fA-F]{3}-[89abAB][\da-fA-F]{3}-[\da-fA-F]{12}$)"},
    {"uri-reference", R"(^(/[A-Za-z0-9._~-]{1,80}){1,16}(\?[A-Za-z0-9._~=&-]{0,200})?$)"},
    {"json-pointer", R"(^(/([^~/\x00-\x1F]|~[01]){0,80}){0,16}$)"},
    {"ipv4network",
     R"(^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.(0\.0\.0/8|(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.(0\.0/16|(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.0/24))$)"},
    {"base64",
     R"(^([A-Za-z0-9+/]{4}){0,200}([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$)"},
    {"base64url", R"(^([A-Za-z0-9_-]{4}){0,200}$)"},
    {"uri",
     R"(^https?://([A-Za-z0-9][A-Za-z0-9]?(-?[A-Za-z0-9]){0,30}\.){0,4}[A-Za-z]{2,20}(:[1-9]\d{0,3})?(/[A-Za-z0-9._~-]{0,80}){0,16}(\?[A-Za-z0-9._~=&-]{0,200})?(#[A-Za-z0-9._~-]{0,80})?$)"},
};

// What is valid in one format is so in the other: those with more letters than ASCII, and those of
// Pydantic that take a single address as a network.
constexpr std::pair<std::string_view, std::string_view> kNarrower[] = {
    {"idn-email", "email"},
    {"name-email", "email"},
    {"idn-hostname", "hostname"},
    {"iri", "uri"},
    {"iri-reference", "uri-reference"},
    {"ipv4interface", "ipv4"},
    {"ipv6interface", "ipv6"},
    {"ipv6network", "ipv6"},
    {"ipvanyaddress", "ipv4"},
    {"ipvanyinterface", "ipv4"},
    {"ipvanynetwork", "ipv4network"},
};

// These formats come from OpenAPI and from libraries that derive schemas from types. Each says how
// a program stores the value, from which no spelling follows.
constexpr std::array<std::string_view, 14> kAnnotations = {
    "binary", "byte",  "password", "file-path", "directory-path", "path",   "json-string",
    "int32",  "int64", "float",    "double",    "decimal",        "uint32", "uint64"};

}  // namespace

std::string_view FormatPattern(std::string_view format) {
  for (const auto& [wide, narrow] : kNarrower) {
    if (format == wide) format = narrow;
  }
  const auto known = std::ranges::find(kFormats, format, &Format::name);
  return known == std::end(kFormats) ? std::string_view() : known->pattern;
}

bool FormatIsAnnotation(std::string_view format) {
  return std::ranges::find(kAnnotations, format) != kAnnotations.end();
}

std::string FormatNames() {
  std::string names;
  for (const Format& known : kFormats) {
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  return names;
}

}  // namespace lockstep
