// An EmbeddingService of 4 values whose vectors the test can work out: they are made in Submit, of
// a text's length, its first token and its last. Token i is the character i; < and > are put before
// and behind a text. With `pairs` it scores pairs instead, by how many characters the document has
// less than the query. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/generation/embedding_service.h"

namespace lockstep {

class FakeEmbeddings : public EmbeddingService {
 public:
  FakeEmbeddings() { model_.encodes = true; }

  const ServedModel& model() const override { return model_; }
  size_t dim() const override { return pairs ? 1 : 4; }
  std::string_view pooling() const override { return "mean"; }
  size_t token_dim() const override { return 2; }
  bool scores_pairs() const override { return pairs; }
  bool scores_are_logits() const override { return logits; }
  TokenizedPair EncodePair(std::string_view query, std::string_view document,
                           const PairLimits& limits) const override {
    TokenizedPair pair{Encode(query), query.size() + 2};
    for (const char c : document) pair.ids.push_back(c);
    pair.ids.push_back('>');
    const size_t second = pair.second;
    CutPair({1, 1 + query.size()}, {second, second + document.size()}, limits, &pair);
    return pair;
  }
  std::vector<int32_t> Encode(std::string_view text) const override {
    std::this_thread::sleep_for(encode_delay);
    std::vector<int32_t> ids(text.begin(), text.end());
    ids.insert(ids.begin(), '<');
    ids.push_back('>');
    return ids;
  }
  bool IsControl(int32_t token) const override { return token == '<' || token == '>'; }
  Status Submit(EncodeJob job) override {
    const std::lock_guard lock(mutex_);
    if (refusal) return tl::unexpected(*refusal);
    jobs_.push_back(job);
    if (silent) return {};
    EncodeStats stats;
    for (size_t i = 0; i < job.texts.size(); ++i) {
      if (job.form == TextForm::kTokens) {
        for (const int32_t token : job.texts[i]) job.sink->OnVector(i, TokenVectorOf(token));
      } else if (pairs) {
        job.sink->OnVector(i, ScoreOf(job.texts[i].size(), job.seconds[i]));
      } else {
        job.sink->OnVector(i, VectorOf(job.texts[i], job.form == TextForm::kUnit));
      }
      stats.tokens += job.texts[i].size();
    }
    stats.texts = job.texts.size();
    job.sink->OnFinish(stats);
    return {};
  }
  GenerationService& alone() override { return *served_alone; }
  EncodeState state() const override { return {.queued = 3, .queued_tokens = 30, .running = 1}; }

  static std::vector<float> VectorOf(const std::vector<int32_t>& tokens, bool unit = true) {
    const auto n = static_cast<float>(tokens.size());
    const float values[] = {n, static_cast<float>(tokens.front()),
                            static_cast<float>(tokens.back()), 1};
    float squares = 0;
    for (const float v : values) squares += v * v;
    if (!unit) squares = 1;
    std::vector<float> vector;
    for (const float v : values) vector.push_back(v / std::sqrt(squares));
    return vector;
  }

  static std::vector<float> TokenVectorOf(int32_t token) {
    return {static_cast<float>(token), 0.5f};
  }

  static std::vector<float> ScoreOf(size_t tokens, size_t second) {
    return {static_cast<float>(second - 2) - static_cast<float>(tokens - second - 1)};
  }

  // Set before use.
  bool pairs = false, logits = true;
  GenerationService* served_alone = nullptr;  // what alone() is
  std::optional<Error> refusal;               // what Submit says
  bool silent = false;                        // nothing is ever encoded
  std::chrono::milliseconds encode_delay{0};  // what reading a text takes

  // Of the texts of the last job, the characters.
  std::vector<std::string> LastTexts() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> texts;
    for (const auto& text : jobs_.back().texts) texts.emplace_back(text.begin(), text.end());
    return texts;
  }
  size_t submitted() {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
  }
  bool cancelled() {
    const std::lock_guard lock(mutex_);
    return jobs_.back().cancelled->load();
  }
  std::string LastClient() {
    const std::lock_guard lock(mutex_);
    return jobs_.back().client;
  }

 private:
  ServedModel model_{"encoder", "ls1-fedcba9876543210", 128, 10, 1'700'000'000,
                     false,     "Encoder of 4"};
  std::mutex mutex_;
  std::vector<EncodeJob> jobs_;
};

}  // namespace lockstep
