// One try at telling a collector something, for spans and metrics alike, and what is said of it
// where it fails. Not thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "core/base/status.h"
#include "server/telemetry/http_post.h"

namespace lockstep {

class Collector {
 public:
  // The collector's answer to a body of JSON, or why there is none.
  using Post = std::function<Result<PostReply>(const std::string& body)>;
  using Warn = std::function<void(const std::string&)>;
  // kAway: there was no answer, or one (429, 502 to 504) that may be another one later.
  enum class Outcome { kTaken, kRefused, kAway };

  // "WHAT do not reach URL: ..." is told to `warn` once for each time of trouble, with `when_away`
  // behind it where the collector is away; and what it says of what it took, once for each reason.
  Collector(const char* what, const char* when_away, std::string url, Post post, Warn warn);

  // Sends what `body` makes. What that throws, as where no memory is left, counts as kAway.
  Outcome Send(const std::function<std::string()>& body);
  // Whether the last try failed.
  bool in_trouble() const { return !trouble_.empty(); }
  // For how long the collector asks not to be tried again, an hour at most; 0 where it does not.
  std::chrono::seconds wait() const { return wait_; }

 private:
  void Hear(const std::string& body);

  const char* const what_;
  const char* const when_away_;
  const std::string url_;
  const Post post_;
  const Warn warn_;
  std::string trouble_;  // what was said last; "" if all is well
  std::string remark_;   // the collector's last one about what it took
  std::chrono::seconds wait_{0};
};

}  // namespace lockstep
