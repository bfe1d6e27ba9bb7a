// A collector that is away for hours is one line in the log, and so is the next one's reason. It
// answers with messages of OTLP (opentelemetry-proto 1, "OTLP/HTTP Response"): what it refuses has
// a google.rpc.Status, and what it takes in part a partialSuccess, which must not be sent again.
#include "server/telemetry/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include "core/base/quoted.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr size_t kMostReason = 200;
constexpr std::chrono::seconds kLongestWait{3600};

bool MayPass(int status) { return status == 429 || (status >= 502 && status <= 504); }

// ": REASON", or nothing: a proxy's page, say, is none.
std::string ReasonOf(std::string_view body) {
  const auto answer = ParseStrictObject(body);
  const std::string reason = answer ? TextField(*answer, "message") : "";
  return reason.empty() ? "" : ": " + Escaped(reason, kMostReason);
}

// OTLP's integers are decimal strings; some collectors write them as numbers.
std::string CountIn(const Json& object, std::string_view name) {
  const Json* const count = FindField(object, name);
  if (count == nullptr) return {};
  std::string text = count->is_string() ? count->get<std::string>() : Dump(*count);
  return text == "0" ? "" : Escaped(text, 20);
}

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
  wait_ = {};
  try {
    const auto reply = post_(body());
    if (!reply) {
      trouble = reply.error().message;
    } else if (reply->status >= 200 && reply->status <= 299) {
      outcome = Outcome::kTaken;
      Hear(reply->body);
    } else {
      trouble = fmt::format("it answers {}{}", reply->status, ReasonOf(reply->body));
      if (!MayPass(reply->status)) outcome = Outcome::kRefused;
      if (outcome == Outcome::kAway) {
        wait_ = std::clamp(reply->retry_after, std::chrono::seconds(0), kLongestWait);
      }
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

// Where there is nothing to say, or it was said the last time, nothing is.
void Collector::Hear(const std::string& body) {
  const auto answer = ParseStrictObject(body);
  const Json* const part = answer ? FindField(*answer, "partialSuccess") : nullptr;
  std::string remark =
      part != nullptr ? Escaped(TextField(*part, "errorMessage"), kMostReason) : "";
  std::string count;
  for (const char* const name : {"rejectedSpans", "rejectedDataPoints"}) {
    if (part != nullptr && count.empty()) count = CountIn(*part, name);
  }
  if (!count.empty() && remark.empty()) remark = "it does not say why";
  if (!remark.empty() && remark != remark_) {
    warn_(count.empty() ? fmt::format("{} reach {}, which remarks: {}", what_, url_, remark)
                        : fmt::format("{} reach {}, which refuses {} of them: {}", what_, url_,
                                      count, remark));
  }
  remark_ = std::move(remark);
}

}  // namespace lockstep
