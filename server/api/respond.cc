#include "server/api/respond.h"

#include <fmt/format.h>

#include <utility>

#include "server/http/error_reply.h"

namespace lockstep {
namespace {

using Event = Generation::Event;
using Then = BodyPart::Then;

constexpr char kComment[] = ": keep-alive\n\n";

std::string ServerTiming(const JobStats& stats) {
  return fmt::format("queue;dur={:.3f}, prefill;dur={:.3f}, decode;dur={:.3f}",
                     stats.queue_s * 1000, stats.prefill_s * 1000, stats.decode_s * 1000);
}

BodyPart ToBodyPart(AnswerWriter& writer, const Generation& generation, Event event) {
  switch (event) {
    case Event::kToken:
      return {writer.Token(generation), Then::kMore};
    case Event::kAnswer:
      return {writer.AnswerEnd(generation), Then::kMore};
    case Event::kDone:
      return {writer.End(generation), Then::kLast};
    case Event::kNothing:
      return {kComment, Then::kMore};
    case Event::kFailed:
      break;
  }
  return {writer.Failure(generation.error()), Then::kClose};
}

// REQUIRES: `first` came from generation->Next() and is not kFailed.
HttpReply StreamReply(std::shared_ptr<Generation> generation, Event first,
                      std::shared_ptr<AnswerWriter> writer, std::chrono::milliseconds keep_alive) {
  HttpReply reply;
  reply.content_type = writer->stream_type();
  reply.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  reply.next = [generation = std::move(generation), writer = std::move(writer), keep_alive,
                event = first, started = false]() mutable {
    std::string begin;
    if (started) {
      event = generation->Next(keep_alive);
    } else {
      begin = writer->Begin(*generation);
      started = true;
    }
    BodyPart part = ToBodyPart(*writer, *generation, event);
    while (begin.empty() && part.data.empty() && part.then == Then::kMore) {
      part = ToBodyPart(*writer, *generation, generation->Next(keep_alive));
    }
    part.data.insert(0, begin);
    return part;
  };
  return reply;
}

}  // namespace

HttpReply AnswerWriter::Refusal(const Error& error) { return ErrorReply(error); }

HttpReply Respond(GenerationService& service, GenerateRequest request, Caller caller,
                  std::unique_ptr<AnswerWriter> writer, std::chrono::milliseconds keep_alive) {
  auto record = std::make_shared<RequestRecord>();
  const auto with_record = [&record](HttpReply reply) {
    if (record->outcome.empty()) record->outcome = reply.record->outcome;
    reply.record = record;
    return reply;
  };
  const bool stream = request.stream;
  const bool comments = stream && writer->stream_type() == "text/event-stream";
  const auto patience = comments ? keep_alive : Generation::kForever;
  auto started = Generation::Start(service, std::move(request), std::move(caller),
                                   writer->id_prefix(), record);
  if (!started) return with_record(writer->Refusal(started.error()));
  Generation& generation = **started;

  Event event = generation.Next(patience);
  while (!stream && event != Event::kDone && event != Event::kFailed) event = generation.Next();
  if (event == Event::kFailed) return with_record(writer->Refusal(generation.error()));
  if (stream) {
    return with_record(StreamReply(*std::move(started), event, std::move(writer), patience));
  }
  HttpReply reply;
  reply.headers = {{"Server-Timing", ServerTiming(generation.answers()[0].stats)}};
  reply.body = writer->Whole(generation);
  return with_record(std::move(reply));
}

}  // namespace lockstep
