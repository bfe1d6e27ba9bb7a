#include "server/tokenize_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <vector>

#include "core/text.h"
#include "server/json_text.h"

namespace lockstep {
namespace {

tl::unexpected<Error> Invalid(std::string message, std::string_view param = {}) {
  return Fail(ErrorKind::kInvalidArgument, std::move(message), std::string(param));
}

// The object without fields that are null, which count as absent. An error if it has others than
// the known ones.
Result<Json> ReadFields(std::string_view body, std::initializer_list<std::string_view> known) {
  auto object = ParseStrictObject(body);
  if (!object) return object;
  for (auto field = object->begin(); field != object->end();) {
    if (std::find(known.begin(), known.end(), field.key()) == known.end()) {
      return Invalid(fmt::format("{} is not a field of this request: known are {}",
                                 Quoted(field.key()), fmt::join(known, ", ")),
                     field.key());
    }
    field = field->is_null() ? object->erase(field) : std::next(field);
  }
  return object;
}

// Of the first of two names that is there, or the default.
Result<bool> ReadFlag(const Json& object, std::string_view name, std::string_view other,
                      bool fallback) {
  for (const std::string_view key : {name, other}) {
    const auto field = object.find(key);
    if (field == object.end()) continue;
    if (!field->is_boolean()) return Invalid(fmt::format("{} must be true or false", key), key);
    return field->get<bool>();
  }
  return fallback;
}

// The only one of the names that is there. An error if it is not a string.
Result<std::string_view> ReadText(const Json& object,
                                  std::initializer_list<std::string_view> names) {
  std::string_view found;
  for (const std::string_view name : names) {
    const auto field = object.find(name);
    if (field == object.end()) continue;
    if (!found.empty()) {
      return Invalid(fmt::format("{} and {} are both there: send one of them", found, name), name);
    }
    if (!field->is_string()) return Invalid(fmt::format("{} must be a string", name), name);
    found = name;
  }
  if (!found.empty()) return found;
  return Invalid(fmt::format("{} is missing", *names.begin()), *names.begin());
}

// A control token by its name, another by its bytes: as text where they are, else as numbers.
OrderedJson Piece(const GenerationService& service, int32_t token) {
  std::string_view bytes = service.TokenBytes(token);
  if (bytes.empty()) bytes = service.TokenName(token);
  if (IsUtf8(bytes)) return OrderedJson(std::string(bytes));
  OrderedJson numbers = OrderedJson::array();
  for (const char byte : bytes) numbers.push_back(static_cast<uint8_t>(byte));
  return numbers;
}

}  // namespace

Result<std::string> AnswerTokenize(const GenerationService& service, std::string_view body) {
  const auto object =
      ReadFields(body, {"content", "prompt", "text", "add_special", "add_special_tokens",
                        "parse_special", "with_pieces", "return_token_strs", "model"});
  if (!object) return tl::unexpected(object.error());
  const auto name = ReadText(*object, {"content", "prompt", "text"});
  if (!name) return tl::unexpected(name.error());
  const auto add_special =
      ReadFlag(*object, "add_special", "add_special_tokens", *name == "prompt");
  if (!add_special) return tl::unexpected(add_special.error());
  const auto parse = ReadFlag(*object, "parse_special", {}, true);
  if (!parse) return tl::unexpected(parse.error());
  const auto with_pieces = ReadFlag(*object, "with_pieces", {}, false);
  if (!with_pieces) return tl::unexpected(with_pieces.error());
  const auto with_strings = ReadFlag(*object, "return_token_strs", {}, false);
  if (!with_strings) return tl::unexpected(with_strings.error());

  const auto& text = object->at(std::string(*name)).get_ref<const std::string&>();
  const std::vector<int32_t> ids =
      service.Tokenize(text, *add_special, *parse ? SpecialTokens::kParse : SpecialTokens::kAsText);
  OrderedJson reply;
  OrderedJson& tokens = reply["tokens"] = OrderedJson::array();
  for (const int32_t id : ids) {
    if (*with_pieces) {
      tokens.push_back({{"id", id}, {"piece", Piece(service, id)}});
    } else {
      tokens.push_back(id);
    }
  }
  reply["count"] = ids.size();
  reply["max_model_len"] = service.model().context;
  if (*with_strings) {
    OrderedJson& strings = reply["token_strs"] = OrderedJson::array();
    for (const int32_t id : ids) strings.push_back(std::string(service.TokenName(id)));
  }
  return Dump(reply);
}

Result<std::string> AnswerDetokenize(const GenerationService& service, std::string_view body) {
  const auto object = ReadFields(body, {"tokens", "model"});
  if (!object) return tl::unexpected(object.error());
  const auto field = object->find("tokens");
  if (field == object->end()) return Invalid("tokens is missing", "tokens");
  if (!field->is_array()) return Invalid("tokens must be a list of token ids", "tokens");
  std::vector<int32_t> ids;
  ids.reserve(field->size());
  for (const Json& value : *field) {
    const size_t vocab = service.model().vocab;
    // Integers are unsigned where they are not negative.
    if (!value.is_number_unsigned() || value.get<uint64_t>() >= vocab) {
      return Invalid(
          fmt::format("tokens[{}] must be a token id from 0 to {}", ids.size(), vocab - 1),
          "tokens");
    }
    ids.push_back(value.get<int32_t>());
  }
  const std::string text = service.Decode(ids);
  OrderedJson reply;
  reply["content"] = text;
  reply["prompt"] = text;
  return Dump(reply);
}

}  // namespace lockstep
