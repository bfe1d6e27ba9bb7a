// Takes llama-server's names and vLLM's, so that tools of either find what they ask for.
#include "server/api/tokenize_api.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "core/base/utf8.h"
#include "server/api/openai/chat.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

// What a token takes in the reply: its id, its piece beside it, its text in another list. A long
// text may have as many tokens as bytes, so that the reply is written as text at once, and not
// first made of values that take ten times as much.
constexpr size_t kIdBytes = 8, kPieceBytes = 32, kStringBytes = 16;

// The one of the names that is there.
std::optional<std::string_view> ReadText(FieldReader& fields, std::string* text) {
  std::optional<std::string_view> found;
  for (const std::string_view name : {"content", "prompt", "text"}) {
    if (!fields.Text(name, text)) continue;
    if (found) fields.Fail(name, fmt::format("and {} are both there: send one of them", *found));
    found = name;
  }
  if (!found) fields.Fail("content", "is missing: the text, or messages");
  return found;
}

// A control token by its name, another by its bytes: as text where they are, else as numbers.
Json Piece(const GenerationService& service, int32_t token) {
  std::string_view bytes = service.TokenBytes(token);
  if (bytes.empty()) bytes = service.TokenText(token);
  if (IsUtf8(bytes)) return Json(std::string(bytes));
  Json numbers = Json::array();
  for (const char byte : bytes) numbers.push_back(static_cast<uint8_t>(byte));
  return numbers;
}

// What the reply has beside the ids.
struct TokenForm {
  bool with_pieces = false, with_strings = false;
};

void ReadForm(FieldReader& fields, TokenForm* form) {
  fields.Bool("with_pieces", &form->with_pieces);
  fields.Bool("return_token_strs", &form->with_strings);
}

Result<std::vector<int32_t>> TokensOfText(FieldReader& fields, ReadContext& context,
                                          TokenForm* form) {
  std::string text;
  const auto name = ReadText(fields, &text);
  // vLLM's field has BOS by default, and llama-server's has not.
  bool add_special = name == "prompt", parse = true;
  fields.Bool("add_special", &add_special);
  fields.Bool("add_special_tokens", &add_special);
  fields.Bool("parse_special", &parse);
  ReadForm(fields, form);
  ReadModel(fields, context);
  TRY_OK(fields.Finish(context.unknown()));
  TRY_OK(context.memory.Grow(text.size() * Tokenizer::kEncodeBytes));
  return context.service.Encode(text, add_special,
                                parse ? SpecialTokens::kParse : SpecialTokens::kAsText);
}

// vLLM's other form: the tokens of the prompt that a conversation becomes.
Result<std::vector<int32_t>> TokensOfChat(FieldReader& fields, ReadContext& context,
                                          TokenForm* form) {
  for (const char* name : {"content", "prompt", "text"}) {
    fields.Refuse(name, "and messages are both there: send one of them");
  }
  for (const char* name : {"add_special", "add_special_tokens"}) {
    bool add = false;
    if (fields.Bool(name, &add) && add) {
      fields.Fail(name, "must be false beside messages: the template has such tokens");
    }
  }
  ReadForm(fields, form);
  TRY(const TrustedText prompt, ReadChatPrompt(fields, context));
  TRY_OK(context.memory.Grow(prompt.size() * Tokenizer::kEncodeBytes));
  return context.service.Encode(prompt);
}

}  // namespace

Result<std::string> AnswerTokenize(const Json& body, ReadContext& context) {
  const GenerationService& service = context.service;
  const size_t held = context.memory.bytes();
  FieldReader fields(body);
  TokenForm form;
  const auto read = fields.Has("messages") ? TokensOfChat : TokensOfText;
  TRY(const std::vector<int32_t> ids, read(fields, context, &form));
  const size_t each =
      (form.with_pieces ? kPieceBytes : kIdBytes) + (form.with_strings ? kStringBytes : 0);
  context.memory.Force(held + ids.size() * sizeof(int32_t));
  TRY_OK(context.memory.Grow(2 * ids.size() * each));
  std::string reply;
  reply.reserve(ids.size() * each);
  reply += R"({"tokens":[)";
  for (const int32_t id : ids) {
    if (form.with_pieces) {
      reply += fmt::format(R"({{"id":{},"piece":{}}},)", id, Dump(Piece(service, id)));
    } else {
      reply += fmt::format("{},", id);
    }
  }
  if (!ids.empty()) reply.pop_back();
  reply += fmt::format(R"(],"count":{},"max_model_len":{})", ids.size(), service.model().context);
  if (form.with_strings) {
    reply += R"(,"token_strs":[)";
    for (const int32_t id : ids) reply += DumpString(service.TokenText(id)) + ",";
    if (!ids.empty()) reply.pop_back();
    reply += "]";
  }
  return reply + "}";
}

Result<std::string> AnswerDetokenize(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  const Json* const tokens = fields.Take("tokens");
  ReadModel(fields, context);
  if (tokens == nullptr) {
    fields.Fail("tokens", "is missing: a list of token ids");
  } else if (!tokens->is_array()) {
    fields.Fail("tokens", "must be a list of token ids");
  }
  TRY_OK(fields.Finish(context.unknown()));
  TRY(const std::vector<int32_t> ids, ReadTokenIds(*tokens, context.vocab(), "tokens", "tokens"));
  const std::string text = context.service.Decode(ids);
  return Dump(Json{{"content", text}, {"prompt", text}});
}

}  // namespace lockstep
