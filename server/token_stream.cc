#include "server/token_stream.h"

#include <utility>

namespace lockstep {

class TokenStream::AnswerSink : public TokenSink {
 public:
  AnswerSink(std::shared_ptr<TokenStream> stream, size_t answer)
      : stream_(std::move(stream)), answer_(answer) {}

  void OnToken(TokenEvent event) override { stream_->PushToken(answer_, std::move(event)); }
  void OnFinish(FinishReason reason, const GenerationStats& stats) override {
    stream_->PushEnd(answer_, {std::nullopt, reason, stats});
  }
  void OnError(const Error& error, const GenerationStats& stats) override {
    stream_->PushEnd(answer_, {error, FinishReason::kNone, stats});
  }

 private:
  const std::shared_ptr<TokenStream> stream_;
  const size_t answer_;
};

TokenStream::TokenStream(std::shared_ptr<std::atomic<bool>> cancelled, size_t max_bytes)
    : cancelled_(std::move(cancelled)), max_bytes_(max_bytes) {}

std::shared_ptr<TokenSink> TokenStream::Sink(size_t answer) {
  return std::make_shared<AnswerSink>(shared_from_this(), answer);
}

void TokenStream::PushToken(size_t answer, TokenEvent event) {
  if (overflowed_) return;
  const size_t bytes =
      sizeof(event) + event.text.size() + event.sampled.top.size() * sizeof(TokenLogprob);
  {
    std::lock_guard lock(mutex_);
    overflowed_ = bytes_ + bytes > max_bytes_;
  }
  if (overflowed_) {
    cancelled_->store(true);
  } else {
    Push({answer, std::move(event)}, bytes);
  }
}

void TokenStream::PushEnd(size_t answer, StreamEnd end) {
  if (overflowed_) {  // a token is missing: not a whole answer
    end.error = Error{ErrorKind::kCancelled, "cancelled: the client reads too slowly", {}};
  }
  Push({answer, std::move(end)}, 0);
}

std::optional<StreamItem> TokenStream::Next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!ready_.wait_for(lock, timeout, [this] { return !items_.empty(); })) return std::nullopt;
  auto [item, bytes] = std::move(items_.front());
  items_.pop_front();
  bytes_ -= bytes;
  return std::move(item);
}

void TokenStream::Push(StreamItem item, size_t bytes) {
  {
    std::lock_guard lock(mutex_);
    items_.emplace_back(std::move(item), bytes);
    bytes_ += bytes;
  }
  ready_.notify_one();
}

}  // namespace lockstep
