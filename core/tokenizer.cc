#include "core/tokenizer.h"

#include <fmt/format.h>

#include <cassert>
#include <optional>
#include <utility>

#include "core/special_tokens.h"
#include "core/text.h"
#include "core/text_encoder.h"
#include "core/tokenizer_bpe.h"
#include "core/tokenizer_spm.h"
#include "core/vocabulary.h"

namespace lockstep {
namespace {

constexpr size_t kMaxChatTemplate = 64 * 1024;

Status CheckChatTemplate(const GgufFile& file) {
  const auto text = file.GetString("tokenizer.chat_template");
  if (!text) return tl::unexpected(text.error());
  if (text->has_value() && (*text)->size() > kMaxChatTemplate) {
    return file.Bad(fmt::format("tokenizer.chat_template has {} bytes: at most {} are allowed",
                                (*text)->size(), kMaxChatTemplate));
  }
  return {};
}

}  // namespace

struct Tokenizer::Impl {
  Status Load(const GgufFile& file);
  Status LoadSpm(const GgufFile& file);
  Status LoadBpe(const GgufFile& file);
  Status LoadFlags(const GgufFile& file, bool add_bos_default);
  void LoadBytes();

  TokenKind kind(int32_t id) const { return vocabulary.kinds[Index(id)]; }
  size_t Index(int32_t id) const {
    assert(id >= 0 && static_cast<size_t>(id) < vocabulary.size());
    return static_cast<size_t>(id);
  }

  Vocabulary vocabulary;
  std::unique_ptr<TextEncoder> encoder;  // refers to vocabulary
  std::vector<std::string> bytes;        // [vocab] what a token stands for
  SpecialTokenFinder user_defined;       // recognised in all text
  SpecialTokenFinder all_special;        // recognised where the caller asks for it
  bool add_space = false;                // in front of text, and of text after a special token
  bool add_bos = false;
  bool add_eos = false;
};

Status Tokenizer::Impl::Load(const GgufFile& file) {
  const auto model = file.GetString("tokenizer.ggml.model");
  if (!model) return tl::unexpected(model.error());
  if (!model->has_value()) {
    return file.Bad("tokenizer.ggml.model is missing: \"llama\" and \"gpt2\" are supported");
  }
  const bool is_spm = **model == "llama";
  if (!is_spm && **model != "gpt2") {
    return file.Bad(
        fmt::format("tokenizer.ggml.model is {}, which is not supported: \"llama\" and "
                    "\"gpt2\" are",
                    Quoted(**model)));
  }
  auto loaded = Vocabulary::Load(file);
  if (!loaded) return tl::unexpected(loaded.error());
  vocabulary = *std::move(loaded);
  if (Status status = is_spm ? LoadSpm(file) : LoadBpe(file); !status) return status;
  if (Status status = CheckChatTemplate(file); !status) return status;
  LoadBytes();
  return {};
}

Status Tokenizer::Impl::LoadSpm(const GgufFile& file) {
  auto spm = SpmEncoder::Create(file, vocabulary);
  if (!spm) return tl::unexpected(spm.error());
  encoder = *std::move(spm);
  const auto space = file.GetBool("tokenizer.ggml.add_space_prefix");
  if (!space) return tl::unexpected(space.error());
  add_space = space->value_or(true);
  return LoadFlags(file, vocabulary.bos >= 0);
}

Status Tokenizer::Impl::LoadBpe(const GgufFile& file) {
  const auto name = file.GetString("tokenizer.ggml.pre");
  if (!name) return tl::unexpected(name.error());
  auto pretokenizer = Pretokenizer::Create(name->value_or("default"));
  if (!pretokenizer) return file.Bad(pretokenizer.error().message);
  const bool add_bos_default = pretokenizer->adds_bos() && vocabulary.bos >= 0;
  auto bpe = BpeEncoder::Create(file, vocabulary, *std::move(pretokenizer));
  if (!bpe) return tl::unexpected(bpe.error());
  encoder = *std::move(bpe);
  return LoadFlags(file, add_bos_default);
}

Status Tokenizer::Impl::LoadFlags(const GgufFile& file, bool add_bos_default) {
  const auto bos = file.GetBool("tokenizer.ggml.add_bos_token");
  if (!bos) return tl::unexpected(bos.error());
  const auto eos = file.GetBool("tokenizer.ggml.add_eos_token");
  if (!eos) return tl::unexpected(eos.error());
  add_bos = bos->value_or(add_bos_default);
  add_eos = eos->value_or(false);
  if (add_bos && vocabulary.bos < 0) {
    return file.Bad(
        "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is "
        "missing");
  }
  if (add_eos && vocabulary.eos < 0) {
    return file.Bad(
        "tokenizer.ggml.add_eos_token is true, but tokenizer.ggml.eos_token_id is "
        "missing");
  }
  return {};
}

void Tokenizer::Impl::LoadBytes() {
  bytes.resize(vocabulary.size());
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const std::string& text = vocabulary.texts[i];
    const int32_t id = static_cast<int32_t>(i);
    switch (vocabulary.kinds[i]) {
      case TokenKind::kNormal:
      case TokenKind::kUnused:
        bytes[i] = encoder->Bytes(text);
        break;
      case TokenKind::kByte:
        bytes[i].assign(1, static_cast<char>(ByteOfText(text)));
        break;
      case TokenKind::kUserDefined:
        bytes[i] = text;
        if (!text.empty()) user_defined.Add(text, id);
        [[fallthrough]];
      case TokenKind::kControl:
        if (!text.empty()) all_special.Add(text, id);
        break;
      case TokenKind::kUnknown:
        break;
    }
  }
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::Create(const GgufFile& file) {
  auto impl = std::make_unique<Impl>();
  if (const Status status = impl->Load(file); !status) return tl::unexpected(status.error());
  return Tokenizer(std::move(impl));
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, bool add_special,
                                       SpecialTokens special) const {
  std::vector<int32_t> ids;
  if (add_special && impl_->add_bos) ids.push_back(bos());
  const SpecialTokenFinder& finder =
      special == SpecialTokens::kParse ? impl_->all_special : impl_->user_defined;
  for (size_t begin = 0; begin < text.size();) {
    const auto match = finder.Next(text, begin);
    const std::string_view plain = text.substr(begin, match ? match->begin - begin : text.npos);
    if (!plain.empty()) {
      impl_->encoder->Encode(std::string(impl_->add_space ? " " : "").append(plain), &ids);
    }
    if (!match) break;
    ids.push_back(match->id);
    begin = match->end;
  }
  if (add_special && impl_->add_eos) ids.push_back(eos());
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids) const {
  std::string text;
  bool has_added_space = impl_->add_space;  // at the front, and after each special token
  for (const int32_t id : ids) {
    std::string_view bytes = TokenBytes(id);
    const TokenKind kind = impl_->kind(id);
    if (kind == TokenKind::kControl || kind == TokenKind::kUserDefined) {
      has_added_space = impl_->add_space;
    } else {
      if (has_added_space && bytes.starts_with(' ')) bytes.remove_prefix(1);
      has_added_space = false;
    }
    text += bytes;
  }
  return text;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const { return impl_->bytes[impl_->Index(id)]; }

std::string_view Tokenizer::TokenText(int32_t id) const {
  return impl_->vocabulary.texts[impl_->Index(id)];
}

bool Tokenizer::IsControl(int32_t id) const { return impl_->kind(id) == TokenKind::kControl; }

bool Tokenizer::IsEndOfGeneration(int32_t id) const {
  return impl_->vocabulary.end_of_generation[impl_->Index(id)];
}

int32_t Tokenizer::bos() const { return impl_->vocabulary.bos; }
int32_t Tokenizer::eos() const { return impl_->vocabulary.eos; }
size_t Tokenizer::vocab_size() const { return impl_->vocabulary.size(); }

}  // namespace lockstep
