// The first item of a generation decides between a status and a stream, so it is taken before the
// reply is made; a stream hands it on as its first part.
#include "server/api/respond.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

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

// What an item is in a stream.
struct PartMaker {
  AnswerWriter& writer;
  const Generation& generation;

  BodyPart operator()(const Generation::Token& token) const {
    return {writer.Token(generation, token.answer, token.event), Then::kMore};
  }
  BodyPart operator()(const Generation::AnswerEnd& end) const {
    return {writer.AnswerEnd(generation, end.answer), Then::kMore};
  }
  BodyPart operator()(const Generation::End&) const {
    return {writer.End(generation), Then::kLast};
  }
  BodyPart operator()(const Generation::Nothing&) const {
    return {writer.Waiting(generation), Then::kMore};
  }
  BodyPart operator()(const Error& error) const { return {writer.Failure(error), Then::kClose}; }
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
                      std::shared_ptr<AnswerWriter> writer, std::chrono::milliseconds keep_alive) {
  HttpReply reply;
  reply.content_type = writer->stream_type();
  // nginx keeps back what comes from behind it unless this header tells it not to.
  reply.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  reply.next = [generation = std::move(generation), writer = std::move(writer), keep_alive,
                item = std::move(first), started = false]() mutable {
    const PartMaker make{*writer, *generation};
    std::string begin;
    if (started) {
      item = generation->Next(keep_alive);
    } else {
      begin = writer->Begin(*generation);
      started = true;
    }
    BodyPart part = std::visit(make, item);
    // An event that is empty is not sent, so that the next one is waited for at once.
    while (begin.empty() && part.data.empty() && part.then == Then::kMore) {
      part = std::visit(make, generation->Next(keep_alive));
    }
    part.data.insert(0, begin);
    return part;
  };
  return reply;
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
  const bool stream = request.generate.stream;
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

  Item item = FirstItem(generation, keep_alive, ends_soon);
  while (!stream && !std::holds_alternative<Generation::End>(item) &&
         !std::holds_alternative<Error>(item)) {
    item = generation.Next();
  }
  if (const Error* const error = std::get_if<Error>(&item)) {
    return with_record(dialect.error(*error));
  }
  if (stream) {
    return with_record(
        StreamReply(*std::move(started), std::move(item), std::move(request.writer), keep_alive));
  }
  HttpReply reply;
  reply.headers = {{"Server-Timing", ServerTiming(generation.answers()[0].stats)}};
  reply.body = writer.Whole(generation);
  return with_record(std::move(reply));
}

}  // namespace lockstep
