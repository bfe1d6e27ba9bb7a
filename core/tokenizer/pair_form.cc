// Models that were trained to generate have a template, and others tokens around and between the
// texts. Which tokens, no key says in a way that can be trusted: converters wrote the flags for a
// separator as the program of their time wanted them. So the form is that of the tokenizers that
// models of the kind were published with.
#include "core/tokenizer/pair_form.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr std::string_view kQuery = "{query}", kDocument = "{document}";
constexpr const char* kTemplateKey = "tokenizer.chat_template.rerank";

// The template that the authors of Qwen3-Reranker publish, for files that were converted without.
constexpr std::string_view kQwen3 =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    "the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n"
    "<|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that "
    "answer "
    "the query\n<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n"
    "<think>\n\n</think>\n\n";

Result<std::string> LoadTemplate(const GgufFile& file) {
  TRY(const auto own, file.GetString(kTemplateKey));
  TRY(const auto architecture, file.GetString("general.architecture"));
  if (!own) return std::string(architecture.value_or("").starts_with("qwen3") ? kQwen3 : "");
  for (const std::string_view part : {kQuery, kDocument}) {
    if (own->find(part) != own->npos) continue;
    return file.Fail(fmt::format("{} does not say where the text goes: {} is missing in it",
                                 kTemplateKey, part));
  }
  return std::string(*own);
}

// Whether a tokenizer of this name puts two separators between the texts, as RoBERTa's does.
bool SeparatesTwice(std::string_view pre, bool may_separate) {
  if (pre == "modern-bert") return false;
  constexpr std::string_view kRoberta[] = {"roberta-bpe", "jina-v1-en", "jina-v2-code"};
  return may_separate || std::ranges::find(kRoberta, pre) != std::end(kRoberta);
}

}  // namespace

Result<PairForm> PairForm::Load(const GgufFile& file, const Vocabulary& vocabulary,
                                PairStyle style) {
  PairForm form;
  TRY(form.text, LoadTemplate(file));
  TRY(const auto pre, file.GetString("tokenizer.ggml.pre"));
  TRY(const auto separates, file.GetBool("tokenizer.ggml.add_sep_token"));
  // What is no id of the vocabulary, as some converters write it, names nothing.
  const auto separator = file.GetU64("tokenizer.ggml.seperator_token_id");
  const bool named = separator && *separator && **separator < vocabulary.size();
  form.separator = named ? static_cast<int32_t>(**separator) : vocabulary.eos;
  form.twice =
      style == PairStyle::kXlmRoberta ||
      (style == PairStyle::kOpen && SeparatesTwice(pre.value_or(""), separates.value_or(false)));
  form.second_type = style == PairStyle::kBert;
  return form;
}

TrustedText PairForm::Fill(std::string_view query, std::string_view document) const {
  TrustedText filled;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t at = std::min(rest.find(kQuery), rest.find(kDocument));
    filled.Append(rest.substr(0, at), /*trusted=*/true);
    if (at == rest.npos) break;
    const bool is_query = rest.substr(at).starts_with(kQuery);
    filled.Append(is_query ? query : document, /*trusted=*/false);
    rest.remove_prefix(at + (is_query ? kQuery : kDocument).size());
  }
  return filled;
}

}  // namespace lockstep
