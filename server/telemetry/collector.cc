// A collector that is away for hours is one line in the log, and so is the next one's reason.
#include "server/telemetry/collector.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

namespace lockstep {
namespace {

bool MayPass(int status) { return status == 429 || (status >= 502 && status <= 504); }

}  // namespace

Collector::Collector(const char* what, const char* when_away, std::string url, Post post, Warn warn)
    : what_(what),
      when_away_(when_away),
      url_(std::move(url)),
      post_(std::move(post)),
      warn_(std::move(warn)) {}

Collector::Outcome Collector::Send(const std::function<std::string()>& body) {
  std::string trouble;
  Outcome outcome = Outcome::kAway;
  try {
    const auto status = post_(body());
    if (!status) {
      trouble = status.error().message;
    } else if (*status >= 200 && *status <= 299) {
      outcome = Outcome::kTaken;
    } else {
      trouble = fmt::format("it answers {}", *status);
      if (!MayPass(*status)) outcome = Outcome::kRefused;
    }
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  if (!trouble.empty() && trouble != trouble_) {
    warn_(fmt::format("{} do not reach {}: {}{}", what_, url_, trouble,
                      outcome == Outcome::kAway ? when_away_ : ""));
  }
  trouble_ = std::move(trouble);
  return outcome;
}

}  // namespace lockstep
