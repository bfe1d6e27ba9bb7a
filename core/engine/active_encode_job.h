// An encode job on its way through the scheduler, from Submit to its sink's last call. Not
// thread-safe: the scheduler's mutex guards what says so, and its thread has the rest.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "core/engine/encode_job.h"

namespace lockstep {

struct ActiveEncodeJob : EncodeJob {
  using Clock = std::chrono::steady_clock;

  explicit ActiveEncodeJob(EncodeJob job);

  EncodeStats stats() const;
  // Why the job must end now, if it must: it was cancelled, or is past a deadline.
  std::optional<Error> Expired(Clock::time_point now) const;

  std::vector<size_t> order;  // of texts, the longest first
  size_t tokens = 0;          // of all texts
  // The scheduler had taken so many tokens when the job came, and its own: the order of a client's
  // jobs.
  size_t turn = 0;
  const Clock::time_point submitted = Clock::now();
  // Guarded by the scheduler's mutex.
  std::optional<Clock::time_point> started;
  size_t chosen = 0, chosen_tokens = 0;  // texts of `order`
  // Used by the scheduler's thread alone.
  size_t done = 0;
  std::optional<Error> failed;
};

}  // namespace lockstep
