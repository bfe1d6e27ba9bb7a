// The figure is comparable with llama.cpp's: the same windows, the same scored half, the same
// estimate of its error.
#include "server/app/perplexity_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/engine/log_softmax.h"
#include "core/gguf/mapped_file.h"
#include "server/app/progress.h"

namespace lockstep {
namespace {

constexpr size_t kMinContext = 8;  // a standard error needs at least two scored tokens
constexpr size_t kChunk = 128;     // tokens of one step

// -log of the probability that the logits give to the token.
double Surprise(const KernelTable& kernels, std::span<const float> logits, int32_t token) {
  const LogSoftmax softmax(logits, kernels);
  const double surprise = -softmax.Of(logits[static_cast<size_t>(token)]);
  return softmax.finite() ? surprise : std::numeric_limits<double>::quiet_NaN();
}

// The mean over the scored tokens, and from it the estimate.
class Estimate {
 public:
  void Add(double surprise) {
    ++count_;
    sum_ += surprise;
    squares_ += surprise * surprise;
  }
  size_t count() const { return count_; }
  bool finite() const { return std::isfinite(sum_); }
  double perplexity() const { return std::exp(Mean()); }
  // The error of the mean is carried over to exp(mean) by its derivative, which is exp(mean) itself
  // (the delta method).
  double standard_error() const {  // of perplexity(), to first order
    const double n = static_cast<double>(count_);
    const double variance = squares_ / n - Mean() * Mean();
    return std::sqrt(std::max(variance, 0.0) / (n - 1)) * perplexity();
  }

 private:
  double Mean() const { return sum_ / static_cast<double>(count_); }
  size_t count_ = 0;
  double sum_ = 0, squares_ = 0;
};

class Evaluation {
 public:
  static Result<Evaluation> Create(const Model& model, ThreadPool& pool, size_t context,
                                   KvType kv_type) {
    TRY(auto kv, KvCache::Create(model.config(), context, kv_type));
    return Evaluation(model, pool, std::move(kv));
  }

  // Adds the tokens of the second half of one window. Its last one only ends the text.
  Status Score(std::span<const int32_t> window) {
    kv_.Truncate(0);
    const size_t last = window.size() - 1, first = window.size() / 2;
    // Chunks end where scoring begins, so that rows of logits are made for scored tokens only.
    for (size_t at = 0; at < last;) {
      const bool scored = at >= first;
      const size_t n = std::min(kChunk, (scored ? last : first) - at);
      const BatchEntry entry = {&kv_, window.subspan(at, n),
                                scored ? LogitRows::kAll : LogitRows::kNone};
      TRY_OK(model_.transformer.Forward({&entry, 1}, scratch_, pool_));
      read_ += n;
      if (scored) AddRows(window.subspan(at + 1, n));
      at += n;
    }
    if (estimate_.finite()) return {};
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: the model gives logits that are not finite", model_.source));
  }

  const Estimate& estimate() const { return estimate_; }
  size_t read() const { return read_; }

 private:
  Evaluation(const Model& model, ThreadPool& pool, KvCache kv)
      : model_(model),
        pool_(pool),
        kv_(std::move(kv)),
        scratch_(model.config(), kChunk, kChunk, pool.threads()) {}

  void AddRows(std::span<const int32_t> next) {
    std::vector<double> surprise(next.size());
    pool_.ParallelFor(next.size(), 8, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        surprise[i] = Surprise(model_.transformer.kernels(), scratch_.logits(i), next[i]);
      }
    });
    // One thread adds in order, so that the sum does not depend on the number of threads.
    for (const double s : surprise) estimate_.Add(s);
  }

  const Model& model_;
  ThreadPool& pool_;
  KvCache kv_;
  Scratch scratch_;
  Estimate estimate_;
  size_t read_ = 0;
};

Result<size_t> FindContext(const PerplexityOptions& options, const ModelConfig& config) {
  const size_t context =
      options.context > 0 ? options.context : std::min(config.context, kPerplexityContext);
  if (context >= kMinContext && context <= config.context) return context;
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("--context {}: give a number from {} to the model's {}", context,
                          kMinContext, config.context),
              "context");
}

Result<std::vector<int32_t>> ReadTokens(const std::string& path, const Tokenizer& tokenizer) {
  TRY(const auto file, MappedFile::Open(path));
  const std::span<const uint8_t> bytes = file.bytes();
  constexpr size_t kMaxBytes = (size_t{1} << 29) - 1;  // the tokenizer's
  if (bytes.size() > kMaxBytes) {
    return Fail(ErrorKind::kBadFile, fmt::format("{}: {} bytes of text; {} are the most that fit",
                                                 path, bytes.size(), kMaxBytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return tokenizer.Encode(text, true);
}

Status Evaluate(const Model& model, ThreadPool& pool, const PerplexityOptions& options) {
  TRY(const size_t context, FindContext(options, model.config()));
  TRY(auto tokens, ReadTokens(options.file, model.tokenizer));
  const size_t full = tokens.size() / context;
  if (full == 0) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: {} tokens do not fill a window of {}; give a longer text, or a "
                            "smaller --context",
                            options.file, tokens.size(), context));
  }
  const size_t windows = options.chunks > 0 ? std::min(options.chunks, full) : full;
  TRY(auto evaluation, Evaluation::Create(model, pool, context, options.kv_type));

  fmt::print("{} ({}), {}: {} tokens, {} of {} windows of {}\n", model.name, model.source,
             options.file, tokens.size(), windows, full, context);
  const int32_t bos = model.tokenizer.bos();
  const bool adds_bos = bos >= 0 && tokens.front() == bos;  // text alone never becomes BOS
  const auto start = std::chrono::steady_clock::now();
  // Who watches sees how far it is; a file gets every window, in llama.cpp's form.
  std::optional<Progress> progress(std::in_place, "Reading", " tokens");
  for (size_t i = 0; i < windows; ++i) {
    const std::span<int32_t> window = std::span(tokens).subspan(i * context, context);
    if (adds_bos) window[0] = bos;
    Status ok = evaluation.Score(window);
    const double perplexity = ok ? evaluation.estimate().perplexity() : 0;
    if (Progress::Shown()) {
      progress->Update((i + 1) * context, windows * context,
                       fmt::format(", PPL {:.4f}", perplexity));
    } else {
      if (ok) fmt::print(stderr, "[{}]{:.4f},", i + 1, perplexity);
      if (!ok || i + 1 == windows) fmt::print(stderr, "\n");
    }
    if (!ok) return ok;
  }
  progress.reset();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const Estimate& estimate = evaluation.estimate();
  fmt::print("Final estimate: PPL = {:.4f} +/- {:.5f}\n", estimate.perplexity(),
             estimate.standard_error());
  fmt::print("{} tokens scored, {} read, {:.1f} tokens/s\n", estimate.count(), evaluation.read(),
             static_cast<double>(evaluation.read()) / seconds.count());
  return {};
}

}  // namespace

int RunPerplexity(const PerplexityOptions& options) {
  return RunWithModel("perplexity", options, [&](const Model& model, ThreadPool& pool) {
    return Evaluate(model, pool, options);
  });
}

}  // namespace lockstep
