// How many prompt tokens a step may take, so that it ends in time: the streams of others wait for
// it, and so does every cancellation and every newcomer; and which guesses of next tokens are worth
// a row of it. Learns from the steps that were made what the machine can do. What it says changes
// no bit of any answer (contract R1), only when it comes. Not thread-safe.
#pragma once

#include <cstddef>

namespace lockstep {

struct StepStats {
  double seconds = 0;
  size_t decoding = 0;        // sessions that decoded, one token each and what they kept of drafts
  size_t prefill_tokens = 0;  // prompt tokens of other sessions
  size_t drafts = 0;          // sessions that guessed
  size_t drafted = 0;         // tokens that were guessed beside
  size_t kept = 0;            // of these, those that became part of answers
  size_t fed_again = 0;       // tokens of answers that were computed again after a wrong guess
  double guessing_s = 0;      // of the seconds, those that a draft model took
};

class StepPacer {
 public:
  // At most `max_prefill` (>= 1) tokens, however fast the machine is.
  explicit StepPacer(size_t max_prefill) : max_prefill_(max_prefill) {}

  // Prompt tokens for a step in which so many sessions decode. At least 1.
  size_t PrefillTokens(size_t decoding) const;
  // What the chance of a guess has to be for its row to be worth its time, where so many sessions
  // decode: it delays the tokens of all of them. `making_s`: what it takes to make the guess.
  double LeastChance(size_t decoding, double making_s = 0) const;
  void Observe(const StepStats& step);
  double decode_s() const { return decode_s_; }                // 0 until one was seen
  double prefill_token_s() const { return prefill_token_s_; }  // 0 until one was seen

 private:
  const size_t max_prefill_;
  double decode_s_ = 0;         // a step that only decodes; 0 until one was seen
  double prefill_token_s_ = 0;  // what a prompt token adds; 0 until one was seen
  // Moving means, variance and covariance of rows and seconds, over steps that only decode.
  double rows_ = 0, rows_s_ = 0, rows_variance_ = 0, covariance_ = 0;
  // Moving means of what a decoding session has in such a step beside its one token: guesses that
  // are kept, and rows.
  double kept_ = 0, beside_ = 0;
};

}  // namespace lockstep
