// The scheduler's thread writes vectors into memory that is there before it starts, and this one
// sleeps until the last call. Who leaves early sets the flag, and leaves the memory to the sink.
#include "server/generation/embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/mutex.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kClientCheck{20};

class Collector : public EncodeSink {
 public:
  // counts[text] vectors of each text.
  Collector(const std::vector<size_t>& counts, size_t dim) {
    size_t vectors = 0;
    next_.reserve(counts.size());
    for (const size_t count : counts) {
      next_.push_back(vectors);
      vectors += count;
    }
    vectors_.dim = dim;
    vectors_.values.resize(vectors * dim);
  }

  void OnVector(size_t text, std::span<const float> vector) override {
    std::copy(vector.begin(), vector.end(),
              vectors_.values.begin() + static_cast<std::ptrdiff_t>(next_[text]++ * vectors_.dim));
  }
  void OnFinish(const EncodeStats& stats) override { End(stats); }
  void OnError(const Error& error, const EncodeStats& stats) override {
    error_ = error;
    End(stats);
  }

  // Whether the last call came in time.
  bool Wait(std::chrono::milliseconds timeout) {
    const Clock::time_point until = Clock::now() + timeout;
    const MutexLock lock(mutex_);
    while (!ended_ && came_.WaitUntil(mutex_, until)) {
    }
    return ended_;
  }
  // REQUIRES: Wait returned true.
  Result<TextVectors> Take() {
    if (error_) return tl::unexpected<Error>(*std::move(error_));
    return std::move(vectors_);
  }

 private:
  void End(const EncodeStats& stats) {
    vectors_.stats = stats;
    {
      const MutexLock lock(mutex_);
      ended_ = true;
    }
    came_.NotifyOne();
  }

  // The scheduler's until the last call, then the waiting thread's.
  TextVectors vectors_;
  std::vector<size_t> next_;  // [texts] where its next vector goes
  std::optional<Error> error_;

  Mutex mutex_;
  CondVar came_;
  bool ended_ GUARDED_BY(mutex_) = false;
};

}  // namespace

void TextVectors::Cut(size_t dimensions, bool unit) {
  if (dimensions == 0 || dimensions >= dim) return;
  const size_t vectors = size();
  for (size_t i = 0; i < vectors; ++i) {
    const std::span<float> from = std::span(values).subspan(i * dim, dimensions);
    double squares = 0;
    for (const float v : from) squares += double{v} * double{v};
    const double by = squares == 0 || !unit ? 1 : 1 / std::sqrt(squares);
    for (size_t d = 0; d < dimensions; ++d) {
      values[i * dimensions + d] = static_cast<float>(double{from[d]} * by);
    }
  }
  dim = dimensions;
  values.resize(vectors * dim);
}

Status StillWanted(const Caller& caller) {
  if (caller.gone()) return Fail(ErrorKind::kCancelled, "the client went away");
  if (Clock::now() - caller.arrived <= caller.deadlines.total) return {};
  return Fail(ErrorKind::kDeadlineExceeded,
              fmt::format("the texts were not read within {} s; send fewer",
                          std::chrono::duration<double>(caller.deadlines.total).count()));
}

Result<TextVectors> EncodeTexts(EmbeddingService& service, std::vector<std::vector<int32_t>> texts,
                                const Caller& caller, std::vector<size_t> seconds, TextForm form) {
  TRY_OK(StillWanted(caller));
  std::vector<size_t> counts;
  counts.reserve(texts.size());
  const bool tokens = form == TextForm::kTokens;
  for (const auto& text : texts) counts.push_back(tokens ? text.size() : 1);
  const auto sink =
      std::make_shared<Collector>(counts, tokens ? service.token_dim() : service.dim());
  EncodeJob job;
  job.client = caller.client;
  job.deadlines = caller.deadlines;
  job.deadlines.spent =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - caller.arrived);
  job.texts = std::move(texts);
  job.seconds = std::move(seconds);
  job.form = form;
  job.sink = sink;
  const auto cancelled = job.cancelled;
  TRY_OK(service.Submit(std::move(job)));
  while (!sink->Wait(kClientCheck)) {
    if (!caller.gone()) continue;
    *cancelled = true;
    return Fail(ErrorKind::kCancelled, "the client went away");
  }
  TRY(TextVectors made, sink->Take());
  if (tokens) made.counts = std::move(counts);
  return made;
}

}  // namespace lockstep
