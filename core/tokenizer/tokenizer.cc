// A text is cut at its special tokens first, and each piece between them is the encoder's. Only
// runs of a text that are trusted are searched for control tokens, so that no filter of what a
// client sends is needed: what it writes can become words, and nothing else.
#include "core/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <optional>
#include <utility>

#include "core/base/quoted.h"
#include "core/tokenizer/bpe_encoder.h"
#include "core/tokenizer/gemma4_encoder.h"
#include "core/tokenizer/pair_form.h"
#include "core/tokenizer/special_tokens.h"
#include "core/tokenizer/spm_encoder.h"
#include "core/tokenizer/stripping.h"
#include "core/tokenizer/text_encoder.h"
#include "core/tokenizer/unigram_encoder.h"
#include "core/tokenizer/vocabulary.h"
#include "core/tokenizer/wordpiece_encoder.h"

namespace lockstep {
namespace {

using Run = TrustedText::Run;

// The special tokens of a text, in order: the first, and of several that begin there the longest.
class SpecialMatches {
 public:
  // `all` counts within each trusted run of the text; elsewhere only `user_defined` does.
  SpecialMatches(const SpecialTokenFinder& user_defined, const SpecialTokenFinder& all,
                 std::string_view text, std::span<const Run> runs)
      : user_defined_(user_defined), all_(all), text_(text), runs_(runs) {}

  // The first that begins at or after `from`. REQUIRES: `from` does not fall from call to call.
  std::optional<SpecialTokenFinder::Match> Next(size_t from) {
    // What was found is kept until it is passed, so that all calls together read the text once.
    if (!at_end_ && (!literal_ || literal_->begin < from)) {
      literal_ = user_defined_.Next(text_, from);
      at_end_ = !literal_;
    }
    while (run_ < runs_.size() && (!control_ || control_->begin < from)) {
      const size_t begin = run_ > 0 ? runs_[run_ - 1].end : 0;
      control_.reset();
      if (runs_[run_].trusted) {
        control_ = all_.Next(text_.substr(0, runs_[run_].end), std::max(from, begin));
      }
      if (!control_) ++run_;
    }
    // Both are there: the one that begins first counts, and of two that begin together the longer.
    // A trusted run may hold user-defined tokens as well, which then are in both searches.
    if (!control_ || !literal_) return control_ ? control_ : literal_;
    if (control_->begin != literal_->begin) {
      return control_->begin < literal_->begin ? control_ : literal_;
    }
    return control_->end >= literal_->end ? control_ : literal_;
  }

 private:
  const SpecialTokenFinder& user_defined_;
  const SpecialTokenFinder& all_;
  const std::string_view text_;
  const std::span<const Run> runs_;
  std::optional<SpecialTokenFinder::Match> literal_, control_;
  bool at_end_ = false;  // no literal_ is left
  size_t run_ = 0;       // the one that is searched next
};

// The ids of `whole` that are not in `rest`, which it becomes without them.
PairPart Difference(std::span<const int32_t> whole, std::span<const int32_t> rest) {
  const auto before = std::ranges::mismatch(whole, rest);
  const auto begin = static_cast<size_t>(before.in1 - whole.begin());
  size_t behind = 0;
  while (behind < std::min(whole.size(), rest.size()) - begin &&
         whole[whole.size() - 1 - behind] == rest[rest.size() - 1 - behind]) {
    ++behind;
  }
  return {begin, whole.size() - behind};
}

}  // namespace

struct Tokenizer::Impl {
  struct Encoder {
    const char* model;
    Status (Impl::*load)(const GgufFile& file);
    PairStyle pair = PairStyle::kOpen;
  };
  static const Encoder kEncoders[];

  Status Load(const GgufFile& file);
  Status LoadSpm(const GgufFile& file);
  Status LoadBpe(const GgufFile& file);
  Status LoadUnigram(const GgufFile& file);
  Status LoadGemma4(const GgufFile& file);
  Status LoadWordPiece(const GgufFile& file);
  Status LoadFlags(const GgufFile& file, bool add_bos_default, bool add_eos_default);
  void LoadBytes();

  void Encode(std::string_view text, std::span<const Run> runs, std::vector<int32_t>* ids) const;
  TokenKind kind(int32_t id) const { return vocabulary.kinds[Index(id)]; }
  size_t Index(int32_t id) const {
    assert(id >= 0 && static_cast<size_t>(id) < vocabulary.size());
    return static_cast<size_t>(id);
  }

  Vocabulary vocabulary;
  std::unique_ptr<TextEncoder> encoder;  // refers to vocabulary
  std::vector<std::string> bytes;        // [vocab] what a token stands for
  Stripping stripping;
  SpecialTokenFinder user_defined;  // recognised in all text
  SpecialTokenFinder all_special;   // recognised in trusted text
  std::string name;                 // tokenizer.ggml.model, and the pre-tokenizer's
  PairForm pair;
  bool add_bos = false;
  bool add_eos = false;
};

// By tokenizer.ggml.model: what loads the encoder, and what the file's flags are by default; and
// how two texts are one. In order, SentencePiece's BPE, byte-level BPE, SentencePiece's unigram
// model, Gemma 4's BPE and BERT's WordPiece.
const Tokenizer::Impl::Encoder Tokenizer::Impl::kEncoders[] = {
    {"llama", &Impl::LoadSpm},
    {"gpt2", &Impl::LoadBpe},
    {"t5", &Impl::LoadUnigram, PairStyle::kXlmRoberta},
    {"gemma4", &Impl::LoadGemma4},
    {"bert", &Impl::LoadWordPiece, PairStyle::kBert}};

Status Tokenizer::Impl::Load(const GgufFile& file) {
  TRY(const auto model, file.GetString("tokenizer.ggml.model"));
  const auto* found = std::find_if(std::begin(kEncoders), std::end(kEncoders),
                                   [&](const Encoder& e) { return model && *model == e.model; });
  if (found == std::end(kEncoders)) {
    std::vector<std::string> names;
    for (const Encoder& known : kEncoders) names.push_back(Quoted(known.model));
    if (!model) {
      return file.Fail(
          fmt::format("tokenizer.ggml.model is missing: {} are supported", Listed(names)));
    }
    return file.Fail(fmt::format("tokenizer.ggml.model is {}, which is not supported: {} are",
                                 Quoted(*model), Listed(names)));
  }
  name = *model;
  // The order matters: encoders keep a reference to the vocabulary, and LoadBytes asks the encoder.
  TRY(vocabulary, Vocabulary::Load(file));
  TRY_OK((this->*found->load)(file));
  TRY(stripping, Stripping::Load(file, vocabulary));
  TRY(pair, PairForm::Load(file, vocabulary, found->pair));
  LoadBytes();
  return {};
}

Status Tokenizer::Impl::LoadSpm(const GgufFile& file) {
  TRY(encoder, SpmEncoder::Create(file, vocabulary));
  return LoadFlags(file, vocabulary.bos >= 0, false);
}

Status Tokenizer::Impl::LoadUnigram(const GgufFile& file) {
  TRY(encoder, UnigramEncoder::Create(file, vocabulary));
  return LoadFlags(file, false, vocabulary.eos >= 0);
}

// The model was never trained on a text without BOS, and early files say that none is added.
Status Tokenizer::Impl::LoadGemma4(const GgufFile& file) {
  TRY_OK(vocabulary.LoadGemma4Ends(file));
  TRY(encoder, Gemma4Encoder::Create(file, vocabulary));
  TRY_OK(LoadFlags(file, true, false));
  if (vocabulary.bos < 0) return file.Fail("tokenizer.ggml.bos_token_id is missing");
  add_bos = true;
  return {};
}

// Every text is between [CLS] and [SEP]: what the flags say is meant for pairs of texts.
Status Tokenizer::Impl::LoadWordPiece(const GgufFile& file) {
  TRY_OK(vocabulary.LoadWordPieceRoles(file));
  TRY(encoder, WordPieceEncoder::Create(file, vocabulary));
  add_bos = add_eos = true;
  return {};
}

Status Tokenizer::Impl::LoadBpe(const GgufFile& file) {
  TRY(const auto pre, file.GetString("tokenizer.ggml.pre"));
  name += fmt::format(", {}", pre.value_or("default"));
  auto pretokenizer = Pretokenizer::Create(pre.value_or("default"));
  if (!pretokenizer) return file.Fail(pretokenizer.error().message);
  const bool add_bos_default = pretokenizer->adds_bos() && vocabulary.bos >= 0;
  TRY(encoder, BpeEncoder::Create(file, vocabulary, *std::move(pretokenizer)));
  return LoadFlags(file, add_bos_default, false);
}

Status Tokenizer::Impl::LoadFlags(const GgufFile& file, bool add_bos_default,
                                  bool add_eos_default) {
  TRY(const auto bos, file.GetBool("tokenizer.ggml.add_bos_token"));
  TRY(const auto eos, file.GetBool("tokenizer.ggml.add_eos_token"));
  add_bos = bos.value_or(add_bos_default);
  add_eos = eos.value_or(add_eos_default);
  if (add_bos && vocabulary.bos < 0) {
    return file.Fail(
        "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is "
        "missing");
  }
  if (add_eos && vocabulary.eos < 0) {
    return file.Fail(
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
      case TokenKind::kUnknown:
      case TokenKind::kControl:
        if (!text.empty()) all_special.Add(text, id);
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
  TRY_OK(impl->Load(file));
  return Tokenizer(std::move(impl));
}

void Tokenizer::Impl::Encode(std::string_view text, std::span<const Run> runs,
                             std::vector<int32_t>* ids) const {
  SpecialMatches matches(user_defined, all_special, text, runs);
  for (size_t begin = 0; begin < text.size();) {
    const auto match = matches.Next(begin);
    std::string_view plain = text.substr(begin, match ? match->begin - begin : text.npos);
    if (match) plain = stripping.Before(match->id, plain);
    if (!plain.empty()) encoder->Encode(plain, ids);
    if (!match) break;
    ids->push_back(match->id);
    begin = text.size() - stripping.After(match->id, text.substr(match->end)).size();
  }
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, bool add_special,
                                       SpecialTokens special) const {
  std::vector<int32_t> ids;
  if (add_special && impl_->add_bos) ids.push_back(bos());
  const Run whole{text.size(), special == SpecialTokens::kParse};
  impl_->Encode(text, {&whole, 1}, &ids);
  if (add_special && impl_->add_eos) ids.push_back(eos());
  return ids;
}

std::vector<int32_t> Tokenizer::Encode(const TrustedText& text, bool add_special) const {
  std::vector<int32_t> ids;
  impl_->Encode(text.bytes(), text.runs(), &ids);
  // Chat templates often write BOS themselves, and a model must not see it twice.
  const bool has_bos = !ids.empty() && ids.front() == bos();
  const bool has_eos = !ids.empty() && ids.back() == eos();
  if (add_special && impl_->add_bos && !has_bos) ids.insert(ids.begin(), bos());
  if (add_special && impl_->add_eos && !has_eos) ids.push_back(eos());
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids) const {
  std::string text;
  bool has_added_space =
      impl_->encoder->adds_space();  // at the front, and after each special token
  for (const int32_t id : ids) {
    std::string_view bytes = TokenBytes(id);
    const TokenKind kind = impl_->kind(id);
    if (kind == TokenKind::kControl || kind == TokenKind::kUserDefined) {
      has_added_space = impl_->encoder->adds_space();
    } else {
      if (has_added_space && bytes.starts_with(' ')) bytes.remove_prefix(1);
      has_added_space = false;
    }
    text += bytes;
  }
  return text;
}

// Without a template the texts are cut apart, so that no word crosses from one to the other. In
// one, a text's ids are those that change where it is left out.
TokenizedPair Tokenizer::EncodePair(std::string_view query, std::string_view document,
                                    const PairLimits& limits) const {
  const PairForm& form = impl_->pair;
  TokenizedPair pair;
  std::vector<int32_t>& ids = pair.ids;
  if (!form.text.empty()) {
    const auto part = [&](std::string_view of_query, std::string_view of_document) {
      return Difference(ids, Encode(form.Fill(of_query, of_document), /*add_special=*/false));
    };
    ids = Encode(form.Fill(query, document), /*add_special=*/false);
    if (ids.size() <= std::min(limits.all, limits.document)) return pair;
    CutPair(part("", document), part(query, ""), limits, &pair);
    return pair;
  }
  const auto append = [&](std::string_view text) -> PairPart {
    const Run whole{text.size(), /*trusted=*/false};
    const size_t begin = ids.size();
    impl_->Encode(text, {&whole, 1}, &ids);
    return {begin, ids.size()};
  };
  if (impl_->add_bos) ids.push_back(bos());
  const PairPart first = append(query);
  if (form.separator >= 0) ids.insert(ids.end(), form.twice ? 2 : 1, form.separator);
  if (form.second_type) pair.second = ids.size();
  const PairPart second = append(document);
  if (impl_->add_eos) ids.push_back(eos());
  CutPair(first, second, limits, &pair);
  return pair;
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
int32_t Tokenizer::pad() const { return impl_->vocabulary.pad; }
const FillTokens& Tokenizer::fill_tokens() const { return impl_->vocabulary.fill; }
const std::string& Tokenizer::name() const { return impl_->name; }
bool Tokenizer::adds_bos() const { return impl_->add_bos; }
bool Tokenizer::adds_eos() const { return impl_->add_eos; }
std::string Tokenizer::warning() const { return impl_->encoder->warning(); }
size_t Tokenizer::vocab_size() const { return impl_->vocabulary.size(); }

}  // namespace lockstep
