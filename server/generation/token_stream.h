// Hands one request's events from the scheduler's thread, which never waits, to the HTTP thread,
// which does. A request may have several answers under way, each with a sink of its own. Bounded: a
// reader that falls behind by more than the bound has its request cancelled rather than the
// scheduler held up.
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/engine/scheduler.h"

namespace lockstep {

struct StreamEnd {
  std::optional<Error> error;  // none: finished
  FinishReason finish = FinishReason::kNone;
  JobStats stats;
};

struct StreamItem {
  size_t answer = 0;  // whose
  std::variant<TokenEvent, StreamEnd, PromptLogprobs> what;
};

class TokenStream : public std::enable_shared_from_this<TokenStream> {
 public:
  // `cancelled` is the request's own flag. The default bound holds some 3,000 plain tokens.
  explicit TokenStream(std::shared_ptr<std::atomic<bool>> cancelled, size_t max_bytes = 256 * 1024);

  // For one answer; keeps the stream alive.
  std::shared_ptr<TokenSink> Sink(size_t answer);

  // The next item, or nothing if none came in time. An answer has no more after its StreamEnd.
  std::optional<StreamItem> Next(std::chrono::milliseconds timeout);

 private:
  class AnswerSink;
  struct Entry {
    StreamItem item;
    size_t bytes = 0;
  };
  // None of these throws.
  void PushPrompt(size_t answer, PromptLogprobs scores);
  void PushToken(size_t answer, TokenEvent event);
  void PushItem(StreamItem item, size_t bytes);
  void PushEnd(std::list<Entry>& end);
  void Push(std::list<Entry>& entry);  // takes it out of its list

  const std::shared_ptr<std::atomic<bool>> cancelled_;
  const size_t max_bytes_;
  Mutex mutex_;
  CondVar ready_;
  std::list<Entry> items_ GUARDED_BY(mutex_);
  size_t bytes_ GUARDED_BY(mutex_) = 0;
  // The scheduler's thread only: tokens are missing, because of a slow reader or of no memory.
  bool overflowed_ = false, lost_ = false;
};

}  // namespace lockstep
