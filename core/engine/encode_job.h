// What is asked of the encode scheduler: texts, of each of which a vector comes back.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/engine/job.h"
#include "core/transformer/text_form.h"

namespace lockstep {

// What a job took. Complete in its sink's last call.
struct EncodeStats {
  double queue_s = 0;   // submitted to first text in a step
  double encode_s = 0;  // from there to the last vector
  size_t texts = 0, tokens = 0;
};

// Where vectors go, in no certain order. Called on the encode scheduler's thread, without a lock
// held: it must neither block nor throw. Exactly one of OnFinish and OnError is the last call.
class EncodeSink {
 public:
  virtual ~EncodeSink() = default;
  // Once for each text, or in the form of tokens once for each token, in their order.
  virtual void OnVector(size_t text, std::span<const float> vector) = 0;
  virtual void OnFinish(const EncodeStats& stats) = 0;
  virtual void OnError(const Error& error, const EncodeStats& stats) = 0;
};

struct EncodeJob {
  std::string client;                       // whose it is, as Job::client
  Deadlines deadlines;                      // there is no first token, and so no deadline for it
  std::vector<std::vector<int32_t>> texts;  // in tokens; at least one text, and in each one token
  // Where texts are pairs, [texts]: where the second text of each begins, as Tokenizer::EncodePair
  // says. Else empty.
  std::vector<size_t> seconds;
  TextForm form = TextForm::kUnit;
  std::shared_ptr<EncodeSink> sink;
  // Set by anyone, at any time: the job ends within one step, with kCancelled.
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace lockstep
