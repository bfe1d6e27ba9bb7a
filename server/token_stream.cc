#include "server/token_stream.h"

#include <utility>

namespace lockstep {

TokenStream::TokenStream(std::shared_ptr<std::atomic<bool>> cancelled, size_t max_bytes)
    : cancelled_(std::move(cancelled)), max_bytes_(max_bytes) {}

void TokenStream::OnToken(TokenEvent event) {
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
    Push(std::move(event), bytes);
  }
}

void TokenStream::OnFinish(FinishReason reason, const GenerationStats& stats) {
  if (overflowed_) return OnError({}, stats);  // a token is missing: not a whole answer
  Push(StreamEnd{std::nullopt, reason, stats}, 0);
}

void TokenStream::OnError(const Error& error, const GenerationStats& stats) {
  const Error slow{ErrorKind::kCancelled, "cancelled: the client reads too slowly", {}};
  Push(StreamEnd{overflowed_ ? slow : error, FinishReason::kNone, stats}, 0);
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
