// What a file says of its tokens is taken at its word, as far as a word can be taken: each text
// once, in UTF-8 and of a bounded size, each type one that the format knows, each role the id of a
// token.
#include "core/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "core/base/quoted.h"
#include "core/base/utf8.h"

namespace lockstep {
namespace {

// A token's text is copied from the file, and looked for in a client's text byte by byte: the first
// limit bounds that look-up, and the second one, which counts from every byte of a text, a search
// for special tokens. Published vocabularies stay below 1,024 and 100 bytes.
constexpr size_t kMaxText = 4096;
constexpr size_t kMaxSpecialText = 256;

// Files whose metadata do not say where a turn or a document ends have control tokens that do. The
// last of these texts stand between the files of a repository, or fill up.
constexpr std::string_view kEndTexts[] = {"<|endoftext|>",
                                          "<|end_of_text|>",
                                          "<|eot_id|>",
                                          "<|eom_id|>",
                                          "<|im_end|>",
                                          "<|end|>",
                                          "<|return|>",
                                          "<|call|>",
                                          "<|calls|>",
                                          "<|flush|>",
                                          "<|EOT|>",
                                          "<|eot|>",
                                          "<｜end▁of▁sentence｜>",
                                          "</s>",
                                          "<EOT>",
                                          "_<EOT>",
                                          "[EOT]",
                                          "[EOS]",
                                          "[e~[",
                                          "<end_of_utterance>",
                                          "<end_of_turn>",
                                          "<turn|>",
                                          "<eos>",
                                          "<|fim_pad|>",
                                          "<fim-pad>",
                                          "<fim_pad>",
                                          "<PAD>",
                                          "[PAD]",
                                          "<|fim_repo|>",
                                          "<|repo_name|>",
                                          "<fim-repo>",
                                          "<REPO>",
                                          "<reponame>",
                                          "<|file_sep|>"};

// A token around gaps: the keys that may name it, the newer one first, and what published models
// call it, of which the vocabulary has one where the file has no key. The names are llama.cpp's.
struct FillRole {
  int32_t FillTokens::*token;
  std::vector<std::string_view> keys, texts;
};
std::vector<FillRole> FillRoles() {
  return {{&FillTokens::prefix,
           {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
           {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
            "<|code_prefix|>", "<|prefix|>"}},
          {&FillTokens::suffix,
           {"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
           {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
            "<|code_suffix|>", "<|suffix|>"}},
          {&FillTokens::middle,
           {"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"},
           {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
            "<|code_middle|>", "<|middle|>"}},
          {&FillTokens::repository,
           {"tokenizer.ggml.fim_rep_token_id"},
           {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
          {&FillTokens::file, {"tokenizer.ggml.fim_sep_token_id"}, {"<|file_sep|>"}}};
}

bool IsEndText(std::string_view text) {
  return std::find(std::begin(kEndTexts), std::end(kEndTexts), text) != std::end(kEndTexts);
}

// "<|user|>" and its full-width relative: nobody writes them but to steer a model.
bool IsTag(std::string_view text) {
  return (text.starts_with("<|") && text.ends_with("|>")) ||
         (text.starts_with("<｜") && text.ends_with("｜>"));
}

// What a token is, its type says, with one exception, which llama.cpp makes as well: published
// files call tags user-defined (DeepSeek Coder's <|EOT|>, the only end of its turns) and now and
// then normal. Text from outside must not become them. No other text makes a token control: "<s>"
// and "</s>" among Gemma's user-defined tokens are tags of HTML, as "<b>" is.
bool IsControlInDisguise(TokenKind kind, std::string_view text) {
  return IsTag(text) &&
         (kind == TokenKind::kUserDefined || (kind == TokenKind::kNormal && IsEndText(text)));
}

bool IsSpecial(TokenKind kind) {
  return kind == TokenKind::kControl || kind == TokenKind::kUserDefined ||
         kind == TokenKind::kUnknown;
}

Status LoadTexts(const GgufFile& file, Vocabulary* vocabulary) {
  TRY(const auto tokens, file.GetStrings("tokenizer.ggml.tokens"));
  if (tokens == nullptr || tokens->empty()) {
    return file.Fail("tokenizer.ggml.tokens is missing or empty: at least 1 token is needed");
  }
  // A file with a vocabulary only has no embedding. In others each token needs a row of it.
  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding != nullptr && embedding->rows() != tokens->size()) {
    return file.Fail(
        fmt::format("tokenizer.ggml.tokens has {} tokens, but token_embd.weight has {} "
                    "rows: they must be as many",
                    tokens->size(), embedding->rows()));
  }
  vocabulary->texts.assign(tokens->begin(), tokens->end());
  vocabulary->ids.reserve(vocabulary->size());
  for (size_t id = 0; id < vocabulary->size(); ++id) {
    const std::string& text = vocabulary->texts[id];
    if (!IsUtf8(text)) {
      return file.Fail(fmt::format("tokenizer.ggml.tokens[{}] is {}, which is not valid UTF-8", id,
                                   Quoted(text)));
    }
    const auto [other, is_new] = vocabulary->ids.emplace(text, static_cast<int32_t>(id));
    if (!is_new) {
      return file.Fail(
          fmt::format("tokenizer.ggml.tokens[{}] is {}, as is token {}: each text may "
                      "stand once",
                      id, Quoted(text), other->second));
    }
    vocabulary->longest = std::max(vocabulary->longest, text.size());
  }
  return {};
}

Status LoadKinds(const GgufFile& file, Vocabulary* vocabulary) {
  vocabulary->kinds.assign(vocabulary->size(), TokenKind::kNormal);
  TRY(const auto types, file.GetInts("tokenizer.ggml.token_type"));
  // Without types, what looks like a byte is one.
  if (!types.has_value()) {
    for (size_t id = 0; id < vocabulary->size(); ++id) {
      if (ByteOfText(vocabulary->texts[id]) >= 0) vocabulary->kinds[id] = TokenKind::kByte;
    }
    return {};
  }
  if (types->size() != vocabulary->size()) {
    return file.Fail(
        fmt::format("tokenizer.ggml.token_type has {} values, but "
                    "tokenizer.ggml.tokens has {}: they must be as many",
                    types->size(), vocabulary->size()));
  }
  // The format's numbers, 0 (undefined) to 6.
  constexpr std::array<TokenKind, 7> kKinds = {
      TokenKind::kNormal,      TokenKind::kNormal, TokenKind::kUnknown, TokenKind::kControl,
      TokenKind::kUserDefined, TokenKind::kUnused, TokenKind::kByte};
  for (size_t id = 0; id < vocabulary->size(); ++id) {
    const int32_t type = (*types)[id];
    if (type < 0 || static_cast<size_t>(type) >= kKinds.size()) {
      return file.Fail(
          fmt::format("tokenizer.ggml.token_type[{}] is {}: 0 to 6 are known", id, type));
    }
    vocabulary->kinds[id] = kKinds[static_cast<size_t>(type)];
    if (vocabulary->kinds[id] == TokenKind::kByte && ByteOfText(vocabulary->texts[id]) < 0) {
      return file.Fail(
          fmt::format("tokenizer.ggml.tokens[{}] is {}, but its type is 6 (byte): "
                      "\"<0x00>\" to \"<0xFF>\" are allowed",
                      id, Quoted(vocabulary->texts[id])));
    }
  }
  return {};
}

// The id under `key`, -1 if the file has none.
Result<int32_t> LoadId(const GgufFile& file, std::string_view key, size_t vocab_size) {
  TRY(const auto id, file.GetU64(key));
  if (!id.has_value()) return -1;
  if (*id >= vocab_size) {
    return file.Fail(
        fmt::format("{} is {}, but tokenizer.ggml.tokens has {} tokens: at most {} is "
                    "allowed",
                    key, *id, vocab_size, vocab_size - 1));
  }
  return static_cast<int32_t>(*id);
}

Status CheckSizes(const GgufFile& file, const Vocabulary& vocabulary) {
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    const size_t limit = IsSpecial(vocabulary.kinds[id]) ? kMaxSpecialText : kMaxText;
    if (vocabulary.texts[id].size() <= limit) continue;
    return file.Fail(fmt::format(
        "tokenizer.ggml.tokens[{}] has {} bytes, but the limit is {} for {} token", id,
        vocabulary.texts[id].size(), limit, limit == kMaxText ? "a" : "a control or user-defined"));
  }
  return {};
}

// Whatever its text is, a token that a key names for an end is one; and it is control, whatever its
// type: text from outside must not end a turn.
Status LoadNamedEnds(const GgufFile& file, Vocabulary* vocabulary) {
  for (const char* const key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                "tokenizer.ggml.eom_token_id"}) {
    TRY(const int32_t id, LoadId(file, key, vocabulary->size()));
    if (id < 0) continue;
    vocabulary->kinds[static_cast<size_t>(id)] = TokenKind::kControl;
    vocabulary->end_of_generation[static_cast<size_t>(id)] = true;
  }
  return {};
}

Status LoadRoles(const GgufFile& file, Vocabulary* vocabulary) {
  const std::pair<std::string_view, int32_t*> roles[] = {
      {"tokenizer.ggml.bos_token_id", &vocabulary->bos},
      {"tokenizer.ggml.eos_token_id", &vocabulary->eos},
      {"tokenizer.ggml.unknown_token_id", &vocabulary->unknown}};
  for (const auto& [key, role] : roles) {
    TRY(*role, LoadId(file, key, vocabulary->size()));
  }
  // What is no id of the vocabulary, as some converters write it, names nothing.
  const auto pad = file.GetU64("tokenizer.ggml.padding_token_id");
  const bool named = pad && *pad && **pad < vocabulary->size();
  if (named) vocabulary->pad = static_cast<int32_t>(**pad);
  std::vector<TokenKind>& kinds = vocabulary->kinds;
  vocabulary->end_of_generation.assign(vocabulary->size(), false);
  for (size_t id = 0; id < vocabulary->size(); ++id) {
    const std::string& text = vocabulary->texts[id];
    if (IsControlInDisguise(kinds[id], text)) kinds[id] = TokenKind::kControl;
    if (kinds[id] == TokenKind::kControl && IsEndText(text)) {
      vocabulary->end_of_generation[id] = true;
    }
  }
  // gpt-oss and Solar end each message of an answer with <|end|>, and the answer otherwise.
  const auto has = [&](std::string_view text) { return vocabulary->Find(text) >= 0; };
  if ((has("<|return|>") && has("<|call|>")) || (has("<|flush|>") && has("<|calls|>"))) {
    const int32_t end = vocabulary->Find("<|end|>");
    if (end >= 0) vocabulary->end_of_generation[static_cast<size_t>(end)] = false;
  }
  if (vocabulary->bos >= 0) kinds[static_cast<size_t>(vocabulary->bos)] = TokenKind::kControl;
  TRY_OK(LoadNamedEnds(file, vocabulary));
  return CheckSizes(file, *vocabulary);
}

// A text alone makes no token control: those that are found by it have a type that says that they
// are more than text.
Status LoadFillTokens(const GgufFile& file, Vocabulary* vocabulary) {
  for (const FillRole& role : FillRoles()) {
    int32_t& token = vocabulary->fill.*role.token;
    for (const std::string_view key : role.keys) {
      if (token >= 0) break;
      TRY(token, LoadId(file, key, vocabulary->size()));
    }
    for (const std::string_view text : role.texts) {
      if (token >= 0) break;
      const int32_t found = vocabulary->Find(text);
      if (found >= 0 && IsSpecial(vocabulary->kinds[static_cast<size_t>(found)])) token = found;
    }
    if (token >= 0) vocabulary->kinds[static_cast<size_t>(token)] = TokenKind::kControl;
  }
  return {};
}

}  // namespace

Result<Vocabulary> Vocabulary::Load(const GgufFile& file) {
  Vocabulary vocabulary;
  for (const auto load : {LoadTexts, LoadKinds, LoadRoles, LoadFillTokens}) {
    TRY_OK(load(file, &vocabulary));
  }
  return vocabulary;
}

Status Vocabulary::LoadGemma4Ends(const GgufFile& file) {
  if (const int32_t id = Find("</s>"); id >= 0) end_of_generation[static_cast<size_t>(id)] = false;
  if (const int32_t id = Find("<|tool_response>"); id >= 0) {
    kinds[static_cast<size_t>(id)] = TokenKind::kControl;
    end_of_generation[static_cast<size_t>(id)] = true;
  }
  return LoadNamedEnds(file, this);
}

Status Vocabulary::LoadWordPieceRoles(const GgufFile& file) {
  const auto load = [&](std::string_view key, std::string_view text, int32_t* role) -> Status {
    TRY(const int32_t id, LoadId(file, key, size()));
    if (id >= 0) *role = id;
    if (*role < 0) *role = Find(text);
    if (*role >= 0) return {};
    return file.Fail(
        fmt::format("{} is missing, and no token is {}: a tokenizer of model \"bert\" "
                    "needs it",
                    key, Quoted(text)));
  };
  TRY_OK(load("tokenizer.ggml.cls_token_id", "[CLS]", &bos));
  TRY_OK(load("tokenizer.ggml.seperator_token_id", "[SEP]", &eos));  // spelt so by the format
  TRY_OK(load("tokenizer.ggml.unknown_token_id", "[UNK]", &unknown));
  for (const int32_t id : {bos, eos}) kinds[static_cast<size_t>(id)] = TokenKind::kControl;
  if (pad < 0) pad = Find("[PAD]");
  return {};
}

int32_t Vocabulary::Find(std::string_view text) const {
  if (text.size() > longest) return -1;  // before hashing: keeps a look-up's cost bounded
  const auto found = ids.find(text);
  return found == ids.end() ? -1 : found->second;
}

int32_t Vocabulary::FindNormal(std::string_view text) const {
  const int32_t id = Find(text);
  return id >= 0 && IsNormal(id) ? id : -1;
}

bool Vocabulary::IsNormal(int32_t id) const {
  const TokenKind kind = kinds[static_cast<size_t>(id)];
  return kind == TokenKind::kNormal || kind == TokenKind::kUnused;
}

int ByteOfText(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'))) return -1;
    value = value * 16 + (c <= '9' ? c - '0' : c - 'A' + 10);
  }
  return value;
}

}  // namespace lockstep
