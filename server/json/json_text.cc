// One pass over the text checks it and builds the values, without recursion: the library's reader
// is told by events, and a stack of the containers that are open takes them. It is our own builder
// and not the library's because it has to see each key (no key may occur twice) and the digits of
// numbers that no number of the library can hold.
#include "server/json/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr size_t kMaxNumberLength = 64;

tl::unexpected<Error> Fail(std::string message) {
  return Fail(ErrorKind::kInvalidArgument, std::move(message));
}

bool IsIntegerText(std::string_view text) {
  return text.find_first_of(".eE") == std::string_view::npos;
}

class Builder : public nlohmann::json_sax<Json> {
 public:
  const std::string& problem() const { return problem_; }
  Json& value() { return value_; }

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(int64_t value) override { return Put(value); }
  bool number_unsigned(uint64_t value) override { return Put(value); }
  bool number_float(double value, const std::string& text) override {
    if (text.size() > kMaxNumberLength) return Stop("a number has more than 64 characters");
    return IsIntegerText(text) ? Put(BigInteger(text)) : Put(value);
  }
  bool string(std::string& text) override { return Put(std::move(text)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return Open(Json::object()); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool key(std::string& key) override {
    std::set<std::string>& keys = open_.back().keys;
    if (!keys.insert(key).second) return Stop(fmt::format("{} occurs twice", Quoted(key)));
    if (keys.size() > kMaxJsonKeys) return Stop("an object has more than 1024 fields");
    key_ = std::move(key);
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at ...: reason; last read: '...'"
    std::string_view reason = error.what();
    reason.remove_prefix(std::min(reason.find("] ") + 2, reason.size()));
    if (reason.starts_with("number overflow")) reason = "a number is too large";  // then quoted
    reason = reason.substr(0, reason.find("; last read"));
    reason.remove_prefix(reason.starts_with("parse error") ? reason.find(": ") + 2 : 0);
    return Stop(fmt::format("{} (at byte {})", reason, position));
  }

 private:
  struct Container {
    Json* value;  // stays where it is: what holds it gets no further members before it is closed
    std::set<std::string> keys;
  };

  // Where a value was put that has been read.
  Json* Place(Json value) {
    if (open_.empty()) return &(value_ = std::move(value));
    Json& parent = *open_.back().value;
    if (parent.is_array()) return &parent.get_ref<Json::array_t&>().emplace_back(std::move(value));
    // Not by operator[], which would look through all keys for this one.
    Json::object_t::Container& members = parent.get_ref<Json::object_t&>();
    return &members.emplace_back(std::move(key_), std::move(value)).second;
  }
  bool Put(Json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(Json empty) {
    if (open_.size() >= kMaxJsonDepth) return Stop("it is more than 64 levels deep");
    Json* const value = Place(std::move(empty));
    open_.push_back({value, {}});
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  bool Stop(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  Json value_;
  std::vector<Container> open_;
  std::string key_;  // of the value that comes next
  std::string problem_;
};

bool HasBigIntegers(const Json& json) {
  if (json.is_binary()) return true;
  return json.is_structured() && std::ranges::any_of(json, HasBigIntegers);
}

std::string LibraryText(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The library would write a BigInteger as the bytes that it is kept as.
void AppendWithDigits(std::string& text, const Json& json) {
  if (!json.is_structured()) {
    text += json.is_binary() ? BigIntegerDigits(json) : LibraryText(json);
    return;
  }
  text += json.is_object() ? '{' : '[';
  const size_t begin = text.size();
  for (const auto& [key, item] : json.items()) {
    if (text.size() > begin) text += ',';
    if (json.is_object()) text += LibraryText(Json(key)) + ':';
    AppendWithDigits(text, item);
  }
  text += json.is_object() ? '}' : ']';
}

}  // namespace

// A value of the one kind that the library has and JSON does not, binary: no other value can be
// mistaken for it.
Json BigInteger(std::string_view digits) { return Json::binary({digits.begin(), digits.end()}); }

std::string BigIntegerDigits(const Json& value) {
  if (!value.is_binary()) return {};
  return {value.get_binary().begin(), value.get_binary().end()};
}

bool IsNumber(const Json& value) { return value.is_number() || value.is_binary(); }

Result<Json> ParseStrictObject(std::string_view text) {
  if (text.empty()) return Fail("the body is empty: send a JSON object");
  if (text.starts_with("\xEF\xBB\xBF")) {
    return Fail("the body starts with a byte order mark: leave it out");
  }
  // The library takes a NUL for the end of the text.
  if (text.find('\0') != text.npos) return Fail("the body is not JSON: it has a NUL byte");
  Builder builder;
  if (!Json::sax_parse(text, &builder)) {
    return Fail("the body is not acceptable JSON: " + builder.problem());
  }
  if (!builder.value().is_object()) return Fail("the body must be a JSON object, {...}");
  return std::move(builder.value());
}

// What a value takes depends on its kind more than on its length: "[]," is three bytes of text and
// a hundred of memory. Arrays grow by doubling, and both the old and the new one are there
// meanwhile.
size_t ParsedBytes(std::string_view text) {
  constexpr size_t kValue = 64, kContainer = 64, kMember = 112;
  size_t bytes = 2 * text.size() + kValue;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      i += c == '\\';  // what it escapes
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    if (c == ',') bytes += kValue;
    if (c == '[' || c == '{') bytes += kValue + kContainer;
    if (c == ':') bytes += kMember;
  }
  return bytes;
}

const Json* FindField(const Json& object, std::string_view name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string TextField(const Json& object, std::string_view name, std::string otherwise) {
  const Json* const field = FindField(object, name);
  return field != nullptr && field->is_string() ? field->get<std::string>() : std::move(otherwise);
}

std::string Dump(const Json& json) {
  std::string text;
  if (HasBigIntegers(json)) {
    AppendWithDigits(text, json);
  } else {
    text = LibraryText(json);
  }
  return text;
}

std::string DumpString(std::string_view text) { return Dump(Json(text)); }

}  // namespace lockstep
