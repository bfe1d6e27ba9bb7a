// What a job has taken, and whether it may take more. The limits are sentences that say what ran
// out and what the client can do, since they are what the client reads.
#include "core/engine/active_encode_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "core/engine/active_job.h"

namespace lockstep {

ActiveEncodeJob::ActiveEncodeJob(EncodeJob job) : EncodeJob(std::move(job)), order(texts.size()) {
  for (const auto& text : texts) tokens += text.size();
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return texts[i].size(); });
}

EncodeStats ActiveEncodeJob::stats() const {
  const Clock::time_point now = Clock::now();
  EncodeStats took;
  took.queue_s = InSeconds(started.value_or(now) - submitted);
  if (started) took.encode_s = InSeconds(now - *started);
  took.texts = texts.size(), took.tokens = tokens;
  return took;
}

std::optional<Error> ActiveEncodeJob::Expired(Clock::time_point now) const {
  const auto waited = now - submitted;
  if (cancelled->load(std::memory_order_relaxed)) {
    return Error{ErrorKind::kCancelled, "the request was cancelled", {}};
  }
  if (waited + deadlines.spent > deadlines.total) {
    return Error{ErrorKind::kDeadlineExceeded,
                 fmt::format("the vectors were not complete after {} s; send fewer texts",
                             InSeconds(deadlines.total)),
                 {}};
  }
  if (!started && waited > deadlines.queue) {
    return Error{ErrorKind::kUnavailable,
                 fmt::format("no text could be encoded within {} s; try again later",
                             InSeconds(deadlines.queue)),
                 {}};
  }
  return std::nullopt;
}

}  // namespace lockstep
