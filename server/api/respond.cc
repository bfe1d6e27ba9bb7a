// The first item of a generation decides between a status and a stream, so it is taken before the
// reply is made; a stream hands it on as its first part.
#include "server/api/respond.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "server/api/event_ids.h"
#include "server/api/receipt.h"

namespace lockstep {
namespace {

using Item = Generation::Item;
using Then = BodyPart::Then;

// A request that waits for a session may still be refused by status, and so may one whose deadline
// is near: their streams begin with the session, or after so many times `keep_alive`. No client and
// no proxy of the day gives up within 40 s, and the queue has given its verdict by then.
constexpr int kQuietTurns = 4;

// The W3C's header Server-Timing has milliseconds, and browsers show it beside the request.
std::string ServerTiming(const JobStats& stats) {
  return fmt::format("queue;dur={:.3f}, prefill;dur={:.3f}, decode;dur={:.3f}",
                     stats.queue_s * 1000, stats.prefill_s * 1000, stats.decode_s * 1000);
}

Error PastTheEnd() {
  return {ErrorKind::kInvalidArgument,
          "the header Last-Event-ID is past the end of the answer: it must be sent as it came",
          "Last-Event-ID"};
}

// What an item is in a stream.
struct PartMaker {
  AnswerWriter& writer;
  const Generation& generation;
  std::optional<EventIds>& ids;  // of server-sent events

  std::string Begin() const { return Frame(writer.Begin(generation)); }
  BodyPart operator()(const Generation::Token& token) const {
    return OfAnswer(token.answer, writer.Token(generation, token.answer, token.event));
  }
  BodyPart operator()(const Generation::AnswerEnd& end) const {
    return OfAnswer(end.answer, writer.AnswerEnd(generation, end.answer));
  }
  BodyPart operator()(const Generation::End&) const {
    std::string text = Frame(writer.End(generation));
    if (ids && ids->catching_up()) return (*this)(PastTheEnd());
    return {std::move(text), Then::kLast};
  }
  BodyPart operator()(const Generation::Nothing&) const {
    // Before the writer is asked, which counts its signs of life.
    if (ids && ids->catching_up()) return {EventIds::kKeepAlive, Then::kMore};
    const std::string text = writer.Waiting(generation);
    return {ids ? ids->Waiting(text) : text, Then::kMore};
  }
  BodyPart operator()(const Error& error) const {
    const std::string text = writer.Failure(error);
    return {ids ? ids->Failure(text) : text, Then::kClose};
  }

 private:
  std::string Frame(std::string text) const { return ids ? ids->Frame(text) : std::move(text); }
  BodyPart OfAnswer(size_t answer, std::string text) const {
    return {ids ? ids->OfAnswer(answer, text) : std::move(text), Then::kMore};
  }
};

// What decides the status: the first token, or that the prompt is being read and takes long.
Item FirstItem(Generation& generation, std::chrono::milliseconds keep_alive, bool ends_soon) {
  Item item = generation.Next(keep_alive);
  for (int turn = 1; turn < kQuietTurns; ++turn) {
    const bool begun = generation.prompts_read().begun && !ends_soon;
    if (begun || !std::holds_alternative<Generation::Nothing>(item)) break;
    item = generation.Next(keep_alive);
  }
  return item;
}

// REQUIRES: `first` came from generation->Next() and is no Error.
HttpReply StreamReply(std::shared_ptr<Generation> generation, Item first,
                      std::shared_ptr<AnswerWriter> writer, std::optional<EventIds> ids,
                      std::chrono::milliseconds keep_alive) {
  HttpReply reply;
  reply.content_type = writer->stream_type();
  // nginx keeps back what comes from behind it unless this header tells it not to.
  reply.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  reply.next = [generation = std::move(generation), writer = std::move(writer), keep_alive,
                ids = std::move(ids), item = std::move(first), started = false]() mutable {
    const PartMaker make{*writer, *generation, ids};
    const auto since = std::chrono::steady_clock::now();
    std::string begin;
    if (started) {
      item = generation->Next(keep_alive);
    } else {
      begin = make.Begin();
      started = true;
    }
    BodyPart part = std::visit(make, item);
    // An event that is empty is not sent, so that the next one is waited for at once. Of events
    // that the client has already there may be many.
    while (begin.empty() && part.data.empty() && part.then == Then::kMore) {
      const bool late = std::chrono::steady_clock::now() - since >= keep_alive;
      part = std::visit(make, late && ids && ids->catching_up() ? Item(Generation::Nothing{})
                                                                : generation->Next(keep_alive));
    }
    part.data.insert(0, begin);
    return part;
  };
  return reply;
}

// Where the stream is to begin, nothing for its beginning, or why that cannot be.
Result<std::optional<ResumePoint>> ResumePointOf(const GenerationService& service,
                                                 const DialectRequest& request) {
  if (request.last_event_id.empty()) return std::nullopt;
  if (!request.generate.stream || request.writer->stream_type() != kEventStream) {
    return Fail(ErrorKind::kInvalidArgument,
                "the header Last-Event-ID needs a stream of server-sent events: send \"stream\": "
                "true, to /generate with Accept: text/event-stream, or leave it out",
                "Last-Event-ID");
  }
  TRY(ResumePoint point, ReadEventId(request.last_event_id));
  TRY_OK(CheckModelAndRequest(point, service.model().fingerprint, request.generate.digest));
  return point;
}

}  // namespace

HttpReply Respond(GenerationService& service, DialectRequest request, const Dialect& dialect,
                  Caller caller, std::chrono::milliseconds keep_alive) {
  auto record = std::make_shared<RequestRecord>();
  const auto with_record = [&record](HttpReply reply) {
    // The generation writes its outcome into the record while it runs; a reply that never had one
    // brings the outcome of its error.
    if (record->outcome.empty()) record->outcome = reply.record->outcome;
    reply.record = record;
    return reply;
  };
  AnswerWriter& writer = *request.writer;
  const auto from = ResumePointOf(service, request);
  if (!from) return with_record(dialect.error(from.error()));
  if (*from) request.generate.again = (*from)->origin;
  const bool stream = request.generate.stream, wants_ids = request.event_ids;
  const Deadlines& deadlines = caller.deadlines;
  const bool ends_soon =
      std::min(deadlines.first_token, deadlines.total) <= kQuietTurns * keep_alive;
  auto started = Generation::Start(service, std::move(request.generate), std::move(caller),
                                   writer.id_prefix(), record, std::move(request.memory));
  if (!started) {
    Error error = std::move(started.error());
    if (error.kind == ErrorKind::kContextExceeded) error.param = dialect.prompt;
    return with_record(dialect.error(error));
  }
  Generation& generation = **started;
  if (*from) {
    if (Status status = CheckPrompts(**from, generation); !status) {
      return with_record(dialect.error(status.error()));
    }
    writer.Waited((*from)->waits);
    record->resumed = true;
  }

  Item item = FirstItem(generation, keep_alive, ends_soon);
  while (!stream && !std::holds_alternative<Generation::End>(item) &&
         !std::holds_alternative<Error>(item)) {
    item = generation.Next();
  }
  if (const Error* const error = std::get_if<Error>(&item)) {
    return with_record(dialect.error(*error));
  }
  if (stream) {
    std::optional<EventIds> ids;
    if (writer.stream_type() == kEventStream && (wants_ids || *from)) {
      ids.emplace(generation, service.model().fingerprint, *from);
    }
    return with_record(StreamReply(*std::move(started), std::move(item), std::move(request.writer),
                                   std::move(ids), keep_alive));
  }
  HttpReply reply;
  reply.headers = {
      {"Server-Timing", ServerTiming(generation.answers()[0].stats)},
      {"x-lockstep-receipt", Dump(ReceiptJson(service, generation, *generation.Chosen()[0]))}};
  reply.body = writer.Whole(generation);
  return with_record(std::move(reply));
}

}  // namespace lockstep
