// A job: what is asked of the scheduler, one prompt and one answer, and what comes back. A client's
// request is as many jobs as it wants answers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/engine/session.h"

namespace lockstep {

// What a job took. Complete in its sink's last call.
struct JobStats {
  double queue_s = 0;    // submitted to first scheduled
  double prefill_s = 0;  // first scheduled to first token
  double decode_s = 0;   // first token to last
  size_t prompt_tokens = 0;
  size_t cached_tokens = 0;  // of these, not computed but taken from an earlier request's prefix
  size_t generated_tokens = 0;
  size_t drafted_tokens = 0;  // that were guessed, and of these
  size_t kept_tokens = 0;     // those that became part of the answer
};

// Where a job's tokens go. Called on the scheduler's thread, without a lock held: all streams
// wait for it, so it must neither block nor throw. A sink with a slow reader buffers, and sets
// `cancelled` when it has had enough. Exactly one of OnFinish and OnError is the last call; the
// session is free again before that call is made.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  // Before the first token, where the prompt's logprobs were asked for.
  virtual void OnPrompt(PromptLogprobs) {}  // NOLINT(performance-unnecessary-value-param): kept
  virtual void OnToken(TokenEvent event) = 0;
  virtual void OnFinish(FinishReason reason, const JobStats& stats) = 0;
  virtual void OnError(const Error& error, const JobStats& stats) = 0;
};

// How far a job's prompt has been read. Written by the scheduler, read by anyone at any time.
struct PromptProgress {
  std::atomic<bool> begun{false};  // it has a session
  std::atomic<size_t> read{0};     // tokens that are in the session's cache
  std::atomic<size_t> cached{0};   // of these, not computed: see JobStats
};

// As good as no deadline, and still a time that can be added to others.
inline constexpr std::chrono::milliseconds kNoDeadline = std::chrono::hours(24 * 365);

// Counted from Submit. All are looked at in every step. While a prompt is read and tokens come
// nobody is kept waiting in vain, so that only what is asked for ends that: a client that is cut
// off comes again, and has lost what it waited for.
struct Deadlines {
  std::chrono::milliseconds queue{30'000};             // to be given a session, else kUnavailable
  std::chrono::milliseconds first_token{kNoDeadline};  // else kDeadlineExceeded
  std::chrono::milliseconds total{kNoDeadline};        // else kDeadlineExceeded
  // The part of `total` that was gone before Submit: reading the request, waiting to be submitted.
  std::chrono::milliseconds spent{0};
};

struct Job {
  std::string id;
  // Whose it is. Clients get equal shares of the machine while they have requests waiting.
  std::string client;
  // Only requests of one scope share prefixes: that one was shared shows in its time.
  std::string prefix_scope;
  Deadlines deadlines;
  std::vector<int32_t> prompt;
  GenerationOptions options;
  std::shared_ptr<TokenSink> sink;
  // For its grammar so far, in units of WorkBudget: what was done before it came is paid for like
  // what its session does.
  uint64_t grammar_work = 0;
  // Set by anyone, at any time: the job ends within one step, with kCancelled.
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<PromptProgress> progress = std::make_shared<PromptProgress>();
};

}  // namespace lockstep
