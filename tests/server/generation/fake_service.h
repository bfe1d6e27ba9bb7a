// A GenerationService whose tokens the test makes. Token i is the character i; prompts are encoded
// likewise. Thread-safe.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/utf8.h"
#include "server/generation/embedding_service.h"
#include "server/generation/generation_service.h"
#include "server/generation/grammar_cache.h"
#include "tests/server/generation/chat_templates.h"
#include "tests/support/tiny_vocabulary.h"

namespace lockstep {

class FakeService : public GenerationService {
 public:
  const ServedModel& model() const override { return model_; }
  std::vector<int32_t> Encode(std::string_view text) const override {
    return {text.begin(), text.end()};
  }
  // "^" is the control token, where it is parsed, and BOS.
  std::vector<int32_t> Encode(std::string_view text, bool add_special,
                              SpecialTokens special) const override {
    std::vector<int32_t> ids;
    if (add_special) ids.push_back('^');
    for (const char c : text)
      ids.push_back(c == '^' && special == SpecialTokens::kAsText ? '?' : c);
    return ids;
  }
  std::string Decode(std::span<const int32_t> tokens) const override {
    return {tokens.begin(), tokens.end()};
  }
  // Token 0 is the end of the generation, the one control token.
  std::string_view TokenBytes(int32_t token) const override {
    return {&kChars[token], token == 0 ? size_t{0} : 1};
  }
  std::string_view TokenText(int32_t token) const override {
    return token == 0 ? "</s>" : token == 1 ? "<s>" : TokenBytes(token);
  }
  bool IsControl(int32_t token) const override { return token <= 1; }
  bool IsEndOfGeneration(int32_t token) const override { return token == 0; }
  const Result<ChatModel>& chat() const override { return chat_; }
  // A byte that is not trusted is a token of its own; a trusted "<s>" is token 1.
  std::vector<int32_t> Encode(const TrustedText& prompt) const override {
    std::vector<int32_t> tokens;
    const std::string& text = prompt.bytes();
    for (size_t i = 0; i < text.size(); ++i) {
      const bool control = prompt.TrustedAt(i) && text.compare(i, 3, "<s>") == 0;
      tokens.push_back(control ? 1 : text[i]);
      if (control) i += 2;
    }
    return tokens;
  }
  Status Submit(Job request) override {
    std::lock_guard lock(mutex_);
    if (refusal) return tl::unexpected(*refusal);
    if (requests_.size() >= places) return lockstep::Fail(ErrorKind::kOverloaded, "full");
    requests_.push_back(request);
    if (script.empty()) return {};
    if (request.options.prompt_logprobs >= 0) request.sink->OnPrompt(ScoresOf(request));
    if (request.options.max_tokens == 0) {
      request.sink->OnFinish(FinishReason::kLength, {0.001, 0.002, 0.003});
      return {};
    }
    for (size_t i = 0; i < script.size();) {
      const size_t end = i + CharacterLength(std::string_view(script).substr(i));
      const FinishReason finish = end == script.size() ? script_end : FinishReason::kNone;
      SendLocked(requests_.size() - 1, script[i], finish, script.substr(i, end - i));
      i = end;
    }
    request.sink->OnFinish(script_end, {0.001, 0.002, 0.003});
    return {};
  }
  SchedulerState state() const override {
    return {.queued = 1,
            .running = 2,
            .sessions = 4,
            .kv_bytes = 25,
            .kv_capacity_bytes = 100,
            .prefix_capacity_bytes = 155,
            .block_bytes = 10,
            .archive = archive,
            .predicted_wait_s = 1.5,
            .draining = draining,
            .stalled = stalled};
  }

  GrammarCache& grammars() const override { return grammars_; }
  EmbeddingService* embeddings() const override { return embeddings_; }
  // Set before use: a model that makes vectors, beside this one or in its place.
  void SetEmbeddings(EmbeddingService& embeddings, bool alone) {
    embeddings_ = &embeddings;
    if (alone) model_ = embeddings.model();
  }
  // Set before use.
  void SetChatTemplate(const std::string& source) { chat_ = ChatModelOf(source); }
  void SetChatError(const Error& error) { chat_ = tl::unexpected(error); }
  // Behind SetChatTemplate.
  void AddNamedTemplate(const std::string& name, const std::string& source) {
    ChatModel named = ChatModelOf(source);
    named.name = name;
    chat_->named.push_back(std::move(named));
  }

  ModelCard& card() { return model_.card; }  // set before use
  ServedModel& served() { return model_; }   // likewise

  std::optional<Error> refusal;  // set before use: what Submit says
  std::string script;            // set before use: every request's whole answer, made in Submit
  FinishReason script_end = FinishReason::kLength;  // likewise
  std::optional<size_t> script_stop;                // likewise: which stop string ended it
  std::atomic<size_t> places{SIZE_MAX};  // how many requests in all find a place in the queue
  std::atomic<bool> draining{false}, stalled{false};
  std::optional<ArchiveStats> archive;

  // Sent with the script: of request i, counted from 0, the logprob of each token.
  std::function<float(size_t i)> logprob = [](size_t) { return -0.1f; };
  // Of request i, in the order of submission.
  void Send(size_t i, char token) {
    std::lock_guard lock(mutex_);
    SendLocked(i, token);
  }
  void Finish(size_t i) { request(i).sink->OnFinish(FinishReason::kStop, {0.001, 0.002, 0.003}); }
  void Fail(size_t i, ErrorKind kind, const std::string& message) {
    request(i).sink->OnError({kind, message, {}}, {});
  }
  bool cancelled(size_t i) { return request(i).cancelled->load(); }
  Job request(size_t i) {
    std::lock_guard lock(mutex_);
    return requests_.at(i);
  }
  size_t submitted() {
    std::lock_guard lock(mutex_);
    return requests_.size();
  }

 private:
  // Token i has the logprob -i / 4, and 'z' is the likeliest everywhere.
  static PromptLogprobs ScoresOf(const Job& request) {
    PromptLogprobs scores;
    scores.width = static_cast<size_t>(request.options.prompt_logprobs);
    for (size_t i = 1; i < request.prompt.size(); ++i) {
      scores.tokens.push_back({request.prompt[i], -0.25f * static_cast<float>(i)});
      scores.ranks.push_back(7);
      for (size_t k = 0; k < scores.width; ++k) {
        scores.top.push_back({'z' - static_cast<int32_t>(k), -0.125f - static_cast<float>(k)});
      }
    }
    return scores;
  }

  // A character that is no token is the text of some other one.
  void SendLocked(size_t i, char token, FinishReason finish = FinishReason::kNone,
                  std::string_view character = {}) {
    TokenEvent event;
    if (counts_.size() <= i) counts_.resize(i + 1);
    event.index = counts_[i]++;
    if (character.size() > 1) token = 'x';
    event.sampled.token = token;
    event.sampled.logprob = logprob(i);
    event.sampled.top = {{token, event.sampled.logprob}, {'z', -2.5f}};
    event.text = character.size() > 1 ? character : TokenBytes(token);
    event.finish = finish;
    if (finish != FinishReason::kNone) event.stop = script_stop;
    requests_.at(i).sink->OnToken(std::move(event));
  }

  static constexpr auto kChars = [] {
    std::array<char, 128> chars{};
    for (size_t i = 0; i < chars.size(); ++i) chars[i] = static_cast<char>(i);
    return chars;
  }();
  EmbeddingService* embeddings_ = nullptr;
  ServedModel model_{"fake", "ls1-0123456789abcdef", 128, 64, 1'700'000'000,
                     false,  "Fake of 64 Tokens"};
  Result<ChatModel> chat_ = lockstep::Fail(ErrorKind::kInvalidArgument, "no template", "messages");
  const Tokenizer tokenizer_ = CreateTokenizer(SpmVocabulary({}).Metadata()).value();
  mutable GrammarCache grammars_{tokenizer_};
  std::mutex mutex_;
  std::vector<Job> requests_;
  std::vector<size_t> counts_;
};

// Whether it becomes true within ten seconds.
template <class Predicate>
bool Eventually(const Predicate& predicate) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!predicate()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace lockstep
