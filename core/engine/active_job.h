// A job on its way through the scheduler, from Submit to its sink's last call. Not thread-safe: the
// queue's while it waits, the scheduler's thread's afterwards.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/engine/job.h"
#include "core/engine/prefix_archiver.h"
#include "core/engine/session_pool.h"

namespace lockstep {

double InSeconds(std::chrono::steady_clock::duration duration);

// What jobs of every kind are refused with.
inline constexpr double kMaxRetry = 60;  // seconds, after which a client may as well look again
// Another server can take the request at once: behind a load balancer it is the next try.
Error ShuttingDown();
Error Displaced(double retry_after_s);  // by a client that has less waiting

struct ActiveJob : Job {
  using Clock = std::chrono::steady_clock;

  explicit ActiveJob(Job job) : Job(std::move(job)), prompt_tokens(prompt.size()) {}

  SessionLease session;
  Clock::time_point submitted = Clock::now();
  std::optional<Clock::time_point> started, first_token, last_token;
  const size_t prompt_tokens;  // prompt itself moves into the session
  size_t cached_tokens = 0, generated_tokens = 0;
  // Prompts are read in this order: the tokens that the scheduler had read when this job came to
  // it, and those of its own prompt.
  size_t turn = 0;

  size_t window_steps = 0;  // of KvCache::kWindowStep tokens, that the prefix store was given

  // What an archive has of its prompt, which was asked for once.
  std::shared_ptr<PrefixFetch> fetch;
  bool fetched = false;
  bool waits_for_fetch() const { return fetch != nullptr && !fetch->closed(); }

  uint64_t charged_work = 0;  // of grammar_work, what the client's share has been charged with

  std::vector<int32_t> guess;  // a draft model's, for this step

  bool reads = false;       // its tokens in this step are of what it reads, not of its answer
  bool paused = false;      // it has made way for older ones, and waits for room
  bool was_paused = false;  // it reads again what was computed and counted before

  JobStats stats() const;
  // Why the job must end now, if it must: it was cancelled, or is past a deadline.
  std::optional<Error> Expired(Clock::time_point now) const;
};

}  // namespace lockstep
