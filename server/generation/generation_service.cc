// Straight calls into the model and the scheduler; what has a thought of its own is the choice of
// chat templates.
#include "server/generation/generation_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <regex>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "server/generation/form_finder.h"
#include "server/generation/grammar_cache.h"

namespace lockstep {
namespace {

// The control tokens in the forms of answers.
std::shared_ptr<const SpokenTokens> FindSpoken(const Tokenizer& tokenizer,
                                               const AnswerForms& forms) {
  const std::string literals = Literals(forms);
  auto spoken = std::make_shared<SpokenTokens>();
  for (size_t i = 0; i < tokenizer.vocab_size(); ++i) {
    const auto token = static_cast<int32_t>(i);
    if (!tokenizer.IsControl(token) || tokenizer.IsEndOfGeneration(token)) continue;
    const std::string_view text = tokenizer.TokenText(token);
    if (!text.empty() && literals.find(text) != std::string::npos) spoken->emplace(token, text);
  }
  return spoken;
}

Result<ChatModel> ParseChatModel(const Model& model, const std::string& source) {
  auto parsed = ChatTemplate::Parse(source);
  if (!parsed) {
    return Fail(ErrorKind::kInvalidArgument,
                "the model's chat template cannot be used: " + parsed.error().message +
                    "; send a prompt of your own, to /v1/completions or without --chat",
                "messages");
  }
  // A model without BOS or EOS has -1 for it, and its templates get an empty text.
  const auto text = [&model](int32_t token) {
    return token < 0 ? std::string() : std::string(model.tokenizer.TokenText(token));
  };
  ChatModel chat{*std::move(parsed), source, text(model.tokenizer.bos()),
                 text(model.tokenizer.eos())};
  chat.forms = FindForms(chat, [&model](std::string_view word) {
    return model.tokenizer.Encode(word, /*add_special=*/false, SpecialTokens::kParse).size() == 1;
  });
  chat.forms.spoken = FindSpoken(model.tokenizer, chat.forms);
  return chat;
}

Result<ChatModel> MakeChatModel(const Model& model, const ServedModel& served) {
  if (served.encodes) return tl::unexpected(GeneratesNothing(served));
  if (model.chat_template.empty()) {
    return Fail(ErrorKind::kInvalidArgument,
                "the model has no chat template: send a prompt of your own, to /v1/completions or "
                "without --chat, or take a model whose file has tokenizer.chat_template",
                "messages");
  }
  TRY(ChatModel chat, ParseChatModel(model, model.chat_template));
  for (const auto& [name, source] : model.named_chat_templates) {
    auto named = ParseChatModel(model, source);
    if (!named) continue;  // one that is not needed for most requests takes none of them down
    named->name = name;
    chat.named.push_back(*std::move(named));
  }
  return chat;
}

// What people call a model is what its file is called: general.name is whatever its makers wrote
// there. A split file's parts share the name before their numbers. A name that JSON or a log cannot
// show gives way to general.name.
std::string NameOf(const Model& model) {
  if (model.source == "embedded") return model.name;
  static const std::regex kPart("-[0-9]{5}-of-[0-9]{5}$");
  const std::string stem = std::filesystem::path(model.source).stem().string();
  const std::string name = std::regex_replace(stem, kPart, "");
  const bool plain = IsUtf8(name) && std::ranges::none_of(name, [](unsigned char c) {
                       return c < 0x20 || c == 0x7f;
                     });
  return plain && !name.empty() ? name : model.name;
}

// The control tokens that any of a model's templates has in answers as text.
SpokenTokens AllSpoken(const Result<ChatModel>& chat) {
  SpokenTokens spoken;
  if (!chat) return spoken;
  spoken = *chat->forms.spoken;
  for (const ChatModel& named : chat->named) {
    spoken.insert(named.forms.spoken->begin(), named.forms.spoken->end());
  }
  return spoken;
}

// What grammars that no request has may take: a part of what all requests may take.
size_t RememberedBytes(const MemoryBudget* memory) {
  return memory == nullptr ? GrammarCache::kMaxBytes
                           : std::min(GrammarCache::kMaxBytes, memory->capacity() / 4);
}

}  // namespace

ServedModel DescribeModel(const Model& model, std::string answer_id, size_t context) {
  return {NameOf(model),
          std::move(answer_id),
          model.tokenizer.vocab_size(),
          context,
          static_cast<int64_t>(std::time(nullptr)),
          false,
          model.name,
          model.card,
          model.tokenizer.bos(),
          model.tokenizer.eos(),
          model.tokenizer.adds_bos(),
          model.tokenizer.fill_tokens(),
          model.config().encodes(),
          model.config().scores_pairs(),
          model.tokenizer.pad()};
}

std::string_view WhatEncoderDoes(const ServedModel& model) {
  return model.scores_pairs ? "scores a query and a document together" : "makes vectors of texts";
}

std::string_view Capability(const ServedModel& model) {
  if (!model.encodes) return "completion";
  return model.scores_pairs ? "rerank" : "embedding";
}

Error GeneratesNothing(const ServedModel& model) {
  return {ErrorKind::kInvalidArgument,
          fmt::format("{} {} and generates nothing: send {}, or the name of a model that "
                      "generates, which a server has beside it by --model FILE.gguf "
                      "--embedding-model FILE.gguf, or by --models-dir as one of several",
                      Quoted(model.name), WhatEncoderDoes(model),
                      model.scores_pairs ? "them to /v1/rerank" : "texts to /v1/embeddings"),
          "model"};
}

ModelService::ModelService(const Model& model, ServedModel served, CompileLimits limits,
                           MemoryBudget* memory)
    : model_(model),
      chat_(MakeChatModel(model, served)),
      served_([&] {
        served.chat = chat_.has_value();
        return std::move(served);
      }()),
      grammars_(std::make_unique<GrammarCache>(model.tokenizer, AllSpoken(chat_), std::move(limits),
                                               GrammarCache::kMaxEntries, RememberedBytes(memory),
                                               memory)) {}

ModelService::~ModelService() = default;

std::vector<int32_t> ModelService::Encode(std::string_view text) const {
  return model_.tokenizer.Encode(text, /*add_special=*/true);
}

std::vector<int32_t> ModelService::Encode(std::string_view text, bool add_special,
                                          SpecialTokens special) const {
  return model_.tokenizer.Encode(text, add_special, special);
}

std::string ModelService::Decode(std::span<const int32_t> tokens) const {
  return model_.tokenizer.Decode(tokens);
}

std::string_view ModelService::TokenBytes(int32_t token) const {
  return model_.tokenizer.TokenBytes(token);
}

std::string_view ModelService::TokenText(int32_t token) const {
  return model_.tokenizer.TokenText(token);
}

bool ModelService::IsControl(int32_t token) const { return model_.tokenizer.IsControl(token); }

bool ModelService::IsEndOfGeneration(int32_t token) const {
  return model_.tokenizer.IsEndOfGeneration(token);
}

// What the template gives out is the whole prompt: whether it begins with BOS is its business where
// it writes it, and the tokenizer's where it does not.
std::vector<int32_t> ModelService::Encode(const TrustedText& prompt) const {
  return model_.tokenizer.Encode(prompt, /*add_special=*/true);
}

SchedulerService::SchedulerService(const Model& model, Scheduler& scheduler, size_t context,
                                   std::string answer_id, size_t compilers, size_t compiles_waiting,
                                   MemoryBudget* memory, EmbeddingService* beside)
    : ModelService(model, DescribeModel(model, std::move(answer_id), context),
                   CompileLimits{compilers, compiles_waiting,
                                 [&scheduler] { return scheduler.state().draining; }},
                   memory),
      scheduler_(scheduler),
      beside_(beside) {}

Status SchedulerService::Submit(Job job) { return scheduler_.Submit(std::move(job)); }

SchedulerState SchedulerService::state() const { return scheduler_.state(); }

}  // namespace lockstep
