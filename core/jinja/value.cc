// A value is a variant of small things and shared pointers to immutable ones, so that copying one
// is cheap and a request's messages are never copied by the template that reads them. Depth and
// trust are computed when a container is made, from those of its parts: to ask for them is free,
// and to nest too deep is noticed before anything recurses.
#include "core/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace lockstep {

using jinja::Text;

// Zeros in front go, since big integers are compared as texts.
TemplateValue TemplateValue::Integer(std::string_view digits) {
  int64_t value = 0;
  const char* const end = digits.data() + digits.size();
  if (std::from_chars(digits.data(), end, value).ec == std::errc()) return Int(value);
  const bool negative = digits.starts_with('-');
  digits.remove_prefix(std::min(digits.find_first_of("123456789"), digits.size()));
  return TemplateValue(std::make_shared<const jinja::BigInteger>(
      jinja::BigInteger{fmt::format("{}{}", negative ? "-" : "", digits)}));
}

TemplateValue TemplateValue::String(std::string utf8) {
  return TemplateValue(std::make_shared<const Text>(std::move(utf8), false));
}

TemplateValue TemplateValue::TrustedString(std::string utf8) {
  return TemplateValue(std::make_shared<const Text>(std::move(utf8), true));
}

TemplateValue TemplateValue::List(std::vector<TemplateValue> items) {
  return jinja::MakeList(std::move(items));
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the entries are moved from, one by one
TemplateValue TemplateValue::Dict(std::vector<std::pair<std::string, TemplateValue>> entries) {
  auto dict = std::make_shared<jinja::Dict>();
  for (auto& [key, value] : entries) dict->Set(String(std::move(key)), std::move(value));
  return TemplateValue(std::shared_ptr<const jinja::Dict>(std::move(dict)));
}

TemplateValue TemplateValue::UndefinedBecause(std::string why) {
  return TemplateValue(Undefined{std::make_shared<const std::string>(std::move(why))});
}

int64_t TemplateValue::Int64() const {
  const auto* boolean = As<bool>();
  return boolean != nullptr ? *boolean : *As<int64_t>();
}

std::string TemplateValue::Digits() const {
  return AsBigInteger() != nullptr ? AsBigInteger()->digits : fmt::format("{}", Int64());
}

// A big integer beyond the range of doubles is infinite here; Python raises OverflowError.
double TemplateValue::Number() const {
  if (const auto* real = As<double>()) return *real;
  if (const auto* big = AsBigInteger()) return std::strtod(big->digits.c_str(), nullptr);
  return static_cast<double>(Int64());
}

size_t TemplateValue::Depth() const {
  if (AsList() != nullptr) return AsList()->depth;
  return AsDict() != nullptr ? AsDict()->depth : 0;
}

// A generator has no length in Python, and so is true even if nothing is in it.
bool TemplateValue::Truth() const {
  if (IsUndefined() || IsNone()) return false;
  if (IsNumber()) return AsBigInteger() != nullptr || Number() != 0;
  if (AsText() != nullptr) return !AsText()->empty();
  if (AsDict() != nullptr) return !AsDict()->entries.empty();
  if (AsList() != nullptr) {
    return AsList()->kind == jinja::List::Kind::kGenerator || !AsList()->items.empty();
  }
  return true;
}

bool TemplateValue::AllTrusted() const {
  if (AsText() != nullptr) return AsText()->AllTrusted();
  if (AsList() != nullptr) return AsList()->trusted;
  return AsDict() == nullptr || AsDict()->trusted;
}

std::string_view TemplateValue::TypeName() const {
  if (IsUndefined()) return "Undefined";
  if (IsNone()) return "NoneType";
  if (As<bool>() != nullptr) return "bool";
  if (IsInteger()) return "int";
  if (IsNumber()) return "float";
  if (AsText() != nullptr) return "str";
  if (AsDict() != nullptr) return "dict";
  if (AsObject() != nullptr) return AsObject()->TypeName();
  switch (AsList()->kind) {
    case jinja::List::Kind::kList:
      return "list";
    case jinja::List::Kind::kTuple:
    case jinja::List::Kind::kGroup:
      return "tuple";
    case jinja::List::Kind::kRange:
      return "range";
    case jinja::List::Kind::kView:
      return "dict view";
    case jinja::List::Kind::kGenerator:
      return "generator";
  }
  return "";
}

namespace jinja {

// A tuple of tuples of one another is small and yet has exponentially many items.
constexpr size_t kMaxTupleHash = 65536;

List::List(Kind list_kind, std::vector<Value> values)
    : kind(list_kind), items(std::move(values)), depth(1) {
  for (const Value& item : items) {
    depth = std::max(depth, item.Depth() + 1);
    trusted = trusted && item.AllTrusted();
  }
}

// Depth and trust change to the careful side only: a value that is replaced keeps its part in them.
void Dict::Set(Value key, Value value) {
  std::string hash;
  HashKey(key, &hash);
  depth = std::max({depth, key.Depth() + 1, value.Depth() + 1});
  trusted = trusted && key.AllTrusted() && value.AllTrusted();
  const auto [at, added] = index.try_emplace(std::move(hash), entries.size());
  if (added) {
    entries.emplace_back(std::move(key), std::move(value));
  } else {
    entries[at->second].second = std::move(value);
  }
}

const Value* Dict::Find(const Value& key) const {
  std::string hash;
  if (!HashKey(key, &hash)) return nullptr;
  const auto at = index.find(hash);
  return at == index.end() ? nullptr : &entries[at->second].second;
}

// This is HashKey of a text, written out so that a look-up by name makes no Value.
const Value* Dict::Find(std::string_view key) const {
  const auto at = index.find(fmt::format("s{}", key));
  return at == index.end() ? nullptr : &entries[at->second].second;
}

// The first letter is the type: s text, n whole number, f other number, o object, t tuple. Parts of
// a tuple stand behind their sizes, so that ("a", "bc") and ("ab", "c") differ: the first one is
// t2:sat3:sbct.
bool HashKey(const Value& value, std::string* out) {
  if (const Text* text = value.AsText()) {
    out->append("s").append(text->bytes());
  } else if (value.IsInteger()) {
    out->append("n").append(value.Digits());
  } else if (const double* real = value.As<double>()) {
    // A whole number is the same key as the integer. Adding 0 makes 0 of -0.
    const bool whole = std::isfinite(*real) && *real == std::floor(*real);
    *out += whole ? fmt::format("n{:.0f}", *real + 0.0) : fmt::format("f{}", *real);
  } else if (value.IsNone() || value.IsUndefined()) {
    *out += value.IsNone() ? "none" : "undefined";
  } else if (Object* object = value.AsObject()) {
    *out += fmt::format("o{}", static_cast<const void*>(object));
  } else if (value.AsList() != nullptr && value.AsList()->IsTuple()) {
    for (const Value& item : value.AsList()->items) {
      std::string part;
      if (!HashKey(item, &part) || out->size() + part.size() > kMaxTupleHash) return false;
      *out += fmt::format("t{}:{}", part.size(), part);
    }
    *out += "t";
  } else {
    return false;
  }
  return true;
}

Value MakeList(std::vector<Value> items, List::Kind kind) {
  return Value(std::make_shared<const List>(kind, std::move(items)));
}

Value MakeText(Text text) { return Value(std::make_shared<const Text>(std::move(text))); }

Value Literal(std::string_view text) { return Value::TrustedString(std::string(text)); }

}  // namespace jinja
}  // namespace lockstep
