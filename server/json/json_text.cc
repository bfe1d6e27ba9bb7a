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

tl::unexpected<Error> Invalid(std::string message) {
  return Fail(ErrorKind::kInvalidArgument, std::move(message));
}

// A first pass over the text that builds nothing.
class Checker : public nlohmann::json_sax<Json> {
 public:
  const std::string& problem() const { return problem_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string& text) override {
    return text.size() <= kMaxNumberLength || Refuse("a number has more than 64 characters");
  }
  bool string(std::string&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return Open(); }
  bool start_array(size_t) override { return Open(); }
  bool key(std::string& key) override {
    if (!keys_.back().insert(key).second) {
      return Refuse(fmt::format("{} occurs twice", Quoted(key)));
    }
    return keys_.back().size() <= kMaxJsonKeys || Refuse("an object has more than 1024 fields");
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
    return Refuse(fmt::format("{} (at byte {})", reason, position));
  }

 private:
  bool Open() {
    keys_.emplace_back();
    return keys_.size() <= kMaxJsonDepth || Refuse("it is more than 64 levels deep");
  }
  bool Close() {
    keys_.pop_back();
    return true;
  }
  bool Refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  std::vector<std::set<std::string>> keys_;  // of each object and array that is open
  std::string problem_;
};

}  // namespace

Result<Json> ParseStrictObject(std::string_view text) {
  if (text.empty()) return Invalid("the body is empty: send a JSON object");
  if (text.starts_with("\xEF\xBB\xBF")) {
    return Invalid("the body starts with a byte order mark: leave it out");
  }
  // The library takes a NUL for the end of the text.
  if (text.find('\0') != text.npos) return Invalid("the body is not JSON: it has a NUL byte");
  Checker checker;
  if (!Json::sax_parse(text, &checker)) {
    return Invalid("the body is not acceptable JSON: " + checker.problem());
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("the body must be a JSON object, {...}");
  return json;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string DumpString(std::string_view text) { return Dump(Json(text)); }

}  // namespace lockstep
