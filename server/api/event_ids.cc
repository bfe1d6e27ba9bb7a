// Writers of all dialects make text; the ids are put into it here, so that no writer knows of them.
// An event ends with an empty line, and the JSON in it has no line breaks.
#include "server/api/event_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/digest.h"
#include "server/api/request_digest.h"
#include "server/http/ids.h"

namespace lockstep {
namespace {

constexpr char kHeader[] = "Last-Event-ID";
constexpr char kVersion = 1;
constexpr size_t kModelBytes = 4, kDigestBytes = 6, kCheckBytes = 4;
constexpr size_t kHeadBytes =
    1 + kModelBytes + 2 * kDigestBytes + 8 + AnswerOrigin::kIdBytes + 4 + kCheckBytes;
constexpr size_t kHeadText = kHeadBytes / 3 * 4;

tl::unexpected<Error> Fail(std::string_view what) {
  return Fail(ErrorKind::kInvalidArgument, fmt::format("the header {} {}", kHeader, what), kHeader);
}

std::string Beginning(std::string_view text, size_t bytes) {
  Digest digest;
  digest.Add(text);
  return digest.Bytes().substr(0, bytes);
}

void AppendNumber(uint64_t number, size_t bytes, std::string& text) {
  for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(number >> (8 * i));
}

uint64_t TakeNumber(std::string_view& text, size_t bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; ++i) {
    number |= uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
  }
  text.remove_prefix(bytes);
  return number;
}

std::string Take(std::string_view& text, size_t bytes) {
  std::string taken(text.substr(0, bytes));
  text.remove_prefix(bytes);
  return taken;
}

std::string Head(const Generation& generation, std::string_view fingerprint) {
  const AnswerOrigin& origin = generation.origin();
  std::string head{kVersion};
  head += Beginning(fingerprint, kModelBytes);
  head += generation.request().digest.substr(0, kDigestBytes);
  head += TokensDigest(generation.prompts()).substr(0, kDigestBytes);
  AppendNumber(origin.seed, 8, head);
  head += origin.id;
  AppendNumber(static_cast<uint64_t>(origin.created), 4, head);
  head += Beginning(head, kCheckBytes);
  return Base64(head);
}

// ".N.N...", of which the first is of signs of life.
bool ReadCounts(std::string_view text, ResumePoint* point) {
  std::vector<uint64_t> counts;
  while (!text.empty()) {
    uint64_t count = 0;
    const char* const end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data() + 1, end, count);
    if (text[0] != '.' || error != std::errc()) return false;
    counts.push_back(count);
    text.remove_prefix(static_cast<size_t>(after - text.data()));
  }
  if (counts.size() < 3) return false;
  point->waits = counts[0];
  point->sent.assign(counts.begin() + 1, counts.end());
  return true;
}

}  // namespace

Result<ResumePoint> ReadEventId(std::string_view id) {
  ResumePoint point;
  const auto head = FromBase64(id.substr(0, kHeadText), kHeadBytes);
  if (!head || !ReadCounts(id.substr(std::min(kHeadText, id.size())), &point)) {
    return Fail("is no id of an event of this server: leave it out to begin a new answer");
  }
  std::string_view rest = *head;
  if (rest[0] != kVersion) {
    return Fail("comes from another version of this server, whose answers only it can go on with");
  }
  const std::string_view checked = rest.substr(0, kHeadBytes - kCheckBytes);
  if (Beginning(checked, kCheckBytes) != rest.substr(checked.size())) {
    return Fail("is damaged: it must be sent as it came");
  }
  rest.remove_prefix(1);
  point.model = Take(rest, kModelBytes);
  point.request = Take(rest, kDigestBytes);
  point.prompts = Take(rest, kDigestBytes);
  point.origin.seed = TakeNumber(rest, 8);
  point.origin.id = Take(rest, AnswerOrigin::kIdBytes);
  point.origin.created = static_cast<int64_t>(TakeNumber(rest, 4));
  return point;
}

Status CheckModelAndRequest(const ResumePoint& point, std::string_view fingerprint,
                            std::string_view digest) {
  if (point.model != Beginning(fingerprint, kModelBytes)) {
    return Fail(
        fmt::format("is of another model's answer: this is {}. Ask a replica with the "
                    "first one's system_fingerprint, or leave the header out",
                    fingerprint));
  }
  if (point.request != digest.substr(0, kDigestBytes)) {
    return Fail("is of an answer to another request: send the same body to the same route");
  }
  return {};
}

Status CheckPrompts(const ResumePoint& point, const Generation& generation) {
  if (point.prompts != TokensDigest(generation.prompts()).substr(0, kDigestBytes)) {
    return Fail(
        "is of an answer to another prompt, which the same body became there: the chat template "
        "shows the date, or that server has other flags. Leave it out to begin a new answer");
  }
  if (point.sent.size() != 1 + generation.answers().size()) {
    return Fail("is damaged: it must be sent as it came");
  }
  return {};
}

EventIds::EventIds(const Generation& generation, std::string_view fingerprint,
                   const std::optional<ResumePoint>& from)
    : head_(Head(generation, fingerprint)),
      sent_(1 + generation.answers().size()),
      skip_(from ? from->sent : sent_) {
  if (!from) return;
  waits_ = from->waits;
  behind_ = static_cast<size_t>(std::ranges::count_if(skip_, [](uint64_t n) { return n > 0; }));
}

std::string EventIds::Id() const {
  std::string id = fmt::format("id: {}.{}", head_, waits_);
  for (size_t i = 0; i < sent_.size(); ++i) {
    fmt::format_to(std::back_inserter(id), ".{}", std::max(sent_[i], skip_[i]));
  }
  return id + '\n';
}

// OpenAI's and Anthropic's clients for Python take a comment for an event without data, and fail to
// read it, once there was an id: the empty line behind it is what they take for the event.
template <class Next>
std::string EventIds::WithIds(std::string_view events, const Next& next) {
  constexpr std::string_view kEnd = "\n\n";
  std::string text;
  while (!events.empty()) {
    const size_t end = events.find(kEnd);
    const std::string_view event = events.substr(0, end == events.npos ? end : end + kEnd.size());
    events.remove_prefix(event.size());
    if (event.starts_with(':')) {
      text += event.substr(0, any_sent_ ? event.size() - 1 : event.size());
    } else if (next()) {
      any_sent_ = true;
      text += Id();
      text += event;
    }
  }
  return text;
}

std::string EventIds::Number(std::string_view events, size_t source) {
  return WithIds(events, [this, source] {
    if (++sent_[source] > skip_[source]) return true;
    if (sent_[source] == skip_[source]) --behind_;
    return false;
  });
}

std::string EventIds::Failure(std::string_view events) {
  return WithIds(events, [] { return true; });
}

std::string EventIds::Waiting(std::string_view events) {
  return WithIds(events, [this] {
    ++waits_;
    return true;
  });
}

}  // namespace lockstep
