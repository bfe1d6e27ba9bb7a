// How both schedulers end the jobs that leave a queue without their turn.
#pragma once

#include <chrono>

#include "core/base/status.h"
#include "core/engine/active_job.h"

namespace lockstep {

// Calls `end` with each job and its error: those that others have displaced, and those that have
// expired.
void EndWaiting(const auto& displaced, const auto& expired,
                std::chrono::steady_clock::time_point now, double retry_after_s, const auto& end) {
  const Error overloaded = Displaced(retry_after_s);
  for (const auto& job : displaced) end(*job, overloaded);
  for (const auto& job : expired) {
    Error error = *job->Expired(now);
    error.retry_after_s = retry_after_s;
    end(*job, error);
  }
}

}  // namespace lockstep
