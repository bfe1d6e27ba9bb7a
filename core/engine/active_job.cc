// What a job has taken, and whether it may take more. All limits are sentences that say what ran
// out and what the client can do, since they are what the client reads.
#include "core/engine/active_job.h"

#include <fmt/format.h>

namespace lockstep {

double InSeconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Error ShuttingDown() {
  return {ErrorKind::kUnavailable, "the server is shutting down; try another one", {}, 1};
}

Error Displaced(double retry_after_s) {
  return {ErrorKind::kOverloaded,
          "this client has the most requests waiting, and others came; try again later",
          {},
          retry_after_s};
}

JobStats ActiveJob::stats() const {
  const Clock::time_point now = Clock::now();
  JobStats stats;
  stats.queue_s = InSeconds(started.value_or(now) - submitted);
  if (started) stats.prefill_s = InSeconds(first_token.value_or(now) - *started);
  if (first_token) stats.decode_s = InSeconds(*last_token - *first_token);
  stats.prompt_tokens = prompt_tokens;
  stats.cached_tokens = cached_tokens;
  stats.generated_tokens = generated_tokens;
  if (session) {
    stats.drafted_tokens = session->drafted_tokens();
    stats.kept_tokens = session->kept_tokens();
  }
  return stats;
}

std::optional<Error> ActiveJob::Expired(Clock::time_point now) const {
  const auto waited = now - submitted;
  if (cancelled->load(std::memory_order_relaxed)) {
    return Error{ErrorKind::kCancelled, "the request was cancelled", {}};
  }
  if (waited + deadlines.spent > deadlines.total) {
    return Error{ErrorKind::kDeadlineExceeded,
                 fmt::format("the answer was not complete after {} s; ask for fewer tokens",
                             InSeconds(deadlines.total)),
                 {}};
  }
  if (!first_token && waited > deadlines.first_token) {
    return Error{ErrorKind::kDeadlineExceeded,
                 fmt::format("there was no token after {} s; send a shorter prompt, or come when "
                             "there is less load",
                             InSeconds(deadlines.first_token)),
                 {}};
  }
  if (!session && waited > deadlines.queue) {
    return Error{ErrorKind::kUnavailable,
                 fmt::format("no session became free within {} s; try again later",
                             InSeconds(deadlines.queue)),
                 {}};
  }
  return std::nullopt;
}

}  // namespace lockstep
