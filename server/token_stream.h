// Hands one request's events from the scheduler's thread, which never waits, to the HTTP thread,
// which does. Bounded: a reader that falls behind by more than the bound has its request cancelled
// rather than the scheduler held up.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

#include "core/scheduler.h"
#include "core/status.h"

namespace lockstep {

struct StreamEnd {
  std::optional<Error> error;  // none: finished
  FinishReason finish = FinishReason::kNone;
  GenerationStats stats;
};
using StreamItem = std::variant<TokenEvent, StreamEnd>;

class TokenStream : public TokenSink {
 public:
  // `cancelled` is the request's own flag. The default bound holds some 3,000 plain tokens.
  explicit TokenStream(std::shared_ptr<std::atomic<bool>> cancelled, size_t max_bytes = 256 * 1024);

  void OnToken(TokenEvent event) override;
  void OnFinish(FinishReason reason, const GenerationStats& stats) override;
  void OnError(const Error& error, const GenerationStats& stats) override;

  // The next item, or nothing if none came in time. After StreamEnd there are no more.
  std::optional<StreamItem> Next(std::chrono::milliseconds timeout);

 private:
  void Push(StreamItem item, size_t bytes);

  const std::shared_ptr<std::atomic<bool>> cancelled_;
  const size_t max_bytes_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::pair<StreamItem, size_t>> items_;  // guarded by mutex_; with their bytes
  size_t bytes_ = 0;                                 // guarded by mutex_
  bool overflowed_ = false;                          // the scheduler's thread only
};

}  // namespace lockstep
