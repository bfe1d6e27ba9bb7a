// A queue with one writer and one reader. The writer is the scheduler, which serves everybody: it
// never waits and never fails here, so that a reader that is slow, or no memory, costs one request
// and not the step.
#include "server/generation/token_stream.h"

#include <utility>

namespace lockstep {

// The place of the last item is made beforehand: an answer always ends, even where memory does not
// suffice for its next token.
class TokenStream::AnswerSink : public TokenSink {
 public:
  AnswerSink(std::shared_ptr<TokenStream> stream, size_t answer)
      : stream_(std::move(stream)), answer_(answer), end_(1) {
    end_.front().item.answer = answer;
  }

  void OnPrompt(PromptLogprobs scores) override { stream_->PushPrompt(answer_, std::move(scores)); }
  void OnToken(TokenEvent event) override { stream_->PushToken(answer_, std::move(event)); }
  void OnFinish(FinishReason reason, const JobStats& stats) override {
    PushEnd({std::nullopt, reason, stats});
  }
  void OnError(const Error& error, const JobStats& stats) override {
    StreamEnd end{Error{}, FinishReason::kNone, stats};
    try {
      end.error = error;
    } catch (const std::bad_alloc&) {
      // The text of an error does not fit into the memory that is left, but its kind is enough for
      // a status.
      end.error->kind = error.kind;
    }
    PushEnd(std::move(end));
  }

 private:
  void PushEnd(StreamEnd end) {
    end_.front().item.what = std::move(end);
    stream_->PushEnd(end_);
  }

  const std::shared_ptr<TokenStream> stream_;
  const size_t answer_;
  std::list<Entry> end_;  // one, until it is pushed
};

TokenStream::TokenStream(std::shared_ptr<std::atomic<bool>> cancelled, size_t max_bytes)
    : cancelled_(std::move(cancelled)), max_bytes_(max_bytes) {}

std::shared_ptr<TokenSink> TokenStream::Sink(size_t answer) {
  return std::make_shared<AnswerSink>(shared_from_this(), answer);
}

void TokenStream::PushToken(size_t answer, TokenEvent event) {
  if (lost_ || overflowed_) return;
  const size_t bytes =
      sizeof(event) + event.text.size() + event.sampled.top.size() * sizeof(TokenLogprob);
  {
    const MutexLock lock(mutex_);
    overflowed_ = bytes_ + bytes > max_bytes_;
  }
  if (overflowed_) {
    cancelled_->store(true);
  } else {
    PushItem({answer, std::move(event)}, bytes);
  }
}

// One for each answer, of memory that the request has been given beforehand: the bound is not for
// it.
void TokenStream::PushPrompt(size_t answer, PromptLogprobs scores) {
  PushItem({answer, std::move(scores)}, 0);
}

void TokenStream::PushItem(StreamItem item, size_t bytes) {
  try {
    std::list<Entry> entry;
    entry.push_back({std::move(item), bytes});
    Push(entry);
  } catch (const std::bad_alloc&) {
    lost_ = true;
    cancelled_->store(true);
  }
}

void TokenStream::PushEnd(std::list<Entry>& end) {
  auto& error = std::get<StreamEnd>(end.front().item.what).error;
  if (lost_ || overflowed_) {  // a token is missing: not a whole answer
    error = lost_ ? Error{ErrorKind::kUnavailable, "out of memory", {}}
                  : Error{ErrorKind::kCancelled, "cancelled: the client reads too slowly", {}};
  }
  Push(end);
}

std::optional<StreamItem> TokenStream::Next(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const MutexLock lock(mutex_);
  while (items_.empty() && ready_.WaitUntil(mutex_, deadline)) {
  }
  if (items_.empty()) return std::nullopt;
  Entry entry = std::move(items_.front());
  items_.pop_front();
  bytes_ -= entry.bytes;
  return std::move(entry.item);
}

void TokenStream::Push(std::list<Entry>& entry) {
  {
    const MutexLock lock(mutex_);
    bytes_ += entry.front().bytes;
    // A splice moves the node and takes no memory, so that it cannot fail.
    items_.splice(items_.end(), entry);
  }
  ready_.NotifyOne();
}

}  // namespace lockstep
