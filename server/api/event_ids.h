// The ids of a stream's server-sent events: they say which answer to which request it is, and how
// much of it the client has, so that any replica can go on from there by making the answer again.
//   id: HEAD.WAITS.FRAME.ANSWER...    such as AWZ...Q==.0.1.17
// HEAD, which all events of a stream have, is base64 of 45 bytes: 1 the version of this form, 4 of
// the fingerprint's digest, 6 each of the request's and the prompts', 8 the seed, 12 the answer's
// id, 4 the time it was made at, 4 of the digest of all these. Behind it are counts of the events
// that have been sent, this one included: of signs of life, of those about no answer in particular
// (the first ones and the last ones), and of each answer's own. Answers come interleaved as they
// are made, but each answer's events are the same each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/generation/generation.h"

namespace lockstep {

// Where a stream broke off, as the id of the last event that has come says.
struct ResumePoint {
  std::string model, request, prompts;  // the beginnings of digests
  AnswerOrigin origin;
  uint64_t waits = 0;
  std::vector<uint64_t> sent;  // about no answer, then of each answer
};

// kInvalidArgument where it is none of ours, has been changed, or is of another version's form.
[[nodiscard]] Result<ResumePoint> ReadEventId(std::string_view id);
// Whether this server, asked for `digest`, would make that answer; an error says what differs.
[[nodiscard]] Status CheckModelAndRequest(const ResumePoint& point, std::string_view fingerprint,
                                          std::string_view digest);
// Whether the prompts that the request became are those of that answer; an error says it if not.
[[nodiscard]] Status CheckPrompts(const ResumePoint& point, const Generation& generation);

// Puts ids into one stream, and keeps back what its client has. Used by one thread.
class EventIds {
 public:
  // `from`: where the stream begins; nothing: with its first event.
  EventIds(const Generation& generation, std::string_view fingerprint,
           const std::optional<ResumePoint>& from);

  // Each takes a text of whole events. About no answer in particular, or of one.
  std::string Frame(std::string_view events) { return Number(events, 0); }
  std::string OfAnswer(size_t answer, std::string_view events) {
    return Number(events, 1 + answer);
  }
  // Signs of life, which come when they come. While the client is caught up with it is kKeepAlive:
  // the writer's own are of a place where the client was long ago.
  static constexpr char kKeepAlive[] = ": keep-alive\n\n";
  std::string Waiting(std::string_view events);
  // An error, behind which the stream can be gone on with elsewhere.
  std::string Failure(std::string_view events);

  // Events that the client has are still to come.
  bool catching_up() const { return behind_ > 0; }

 private:
  std::string Number(std::string_view events, size_t source);
  // `next` is asked for each event, before its id is made, whether it is to be sent.
  template <class Next>
  std::string WithIds(std::string_view events, const Next& next);
  std::string Id() const;

  std::string head_;
  uint64_t waits_ = 0;
  std::vector<uint64_t> sent_, skip_;  // about no answer, then of each answer
  size_t behind_ = 0;                  // sources of which less was made than the client has
  bool any_sent_ = false;
};

}  // namespace lockstep
