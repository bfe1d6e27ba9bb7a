// What the answer's reader makes of the text are blocks already; a stream has only to say where
// each begins and ends.
#include "server/api/anthropic/message_writer.h"

#include <utility>

#include "server/api/answer_json.h"
#include "server/api/anthropic/anthropic_error.h"
#include "server/api/anthropic/content.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

using Kind = ChatPiece::Kind;

std::string Event(std::string_view name, const Json& fields) {
  Json json{{"type", name}};
  json.update(fields);
  return FrameNamedEvent(name, Dump(json));
}

// A call that was cut off has arguments that are no JSON. Its block says that there was one, and
// the reason of the stop that it must not be run.
Json InputOf(const ChatCall& call) {
  const auto input = ParseStrictObject(call.arguments);
  return input ? *input : Json::object();
}

Json Blocks(const ChatAnswer& read, bool omits_thoughts) {
  Json blocks = Json::array();
  if (!read.reasoning.empty()) {
    blocks.push_back({{"type", "thinking"},
                      {"thinking", omits_thoughts ? "" : read.reasoning},
                      {"signature", ThoughtSignature(read.reasoning, omits_thoughts)}});
  }
  if (!read.text.empty()) blocks.push_back({{"type", "text"}, {"text", read.text}});
  for (const ChatCall& call : read.calls) {
    blocks.push_back(
        {{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", InputOf(call)}});
  }
  return blocks;
}

}  // namespace

std::string MessageWriter::Whole(const Generation& generation) {
  const Answer& answer = generation.answers()[0];
  const ChatAnswer read = ReadChatAnswer(form_.chat, answer);
  Json message = Message(generation,
                         form_.max_tokens > 0 ? Blocks(read, form_.omits_thoughts) : Json::array());
  message["stop_reason"] = StopReason(answer, read);
  if (message["stop_reason"] == "stop_sequence") message["stop_sequence"] = *answer.stop;
  message["usage"] = Usage(generation, read.reasoning_tokens);
  return Dump(message);
}

// The seed is an addition to Anthropic's form: with it the answer can be had again.
Json MessageWriter::Message(const Generation& generation, Json content) const {
  return {{"id", generation.id()},
          {"type", "message"},
          {"role", "assistant"},
          {"model", form_.model},
          {"content", std::move(content)},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr},
          {"stop_details", nullptr},
          {"container", nullptr},
          {"usage", Usage(generation, 0)},
          {"seed", SeedJson(generation.answers()[0])}};
}

// Here the tokens of the prompt are those that had to be computed; OpenAI's number has all.
Json MessageWriter::Usage(const Generation& generation, size_t thinking_tokens) const {
  const PromptsRead prompt = generation.prompts_read();  // is known before the first token
  return {{"input_tokens", prompt.total - prompt.cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", prompt.cached},
          {"output_tokens", form_.max_tokens > 0 ? generation.usage().completion_tokens : 0},
          {"output_tokens_details", {{"thinking_tokens", thinking_tokens}}}};
}

std::string_view MessageWriter::StopReason(const Answer& answer, const ChatAnswer& read) const {
  if (form_.max_tokens == 0) return "max_tokens";
  if (EndsInCalls(answer, read)) return "tool_use";
  if (answer.stop) return "stop_sequence";
  if (answer.finish != FinishReason::kLength) return "end_turn";
  return answer.tokens.size() < form_.max_tokens ? "model_context_window_exceeded" : "max_tokens";
}

std::string MessageWriter::Begin(const Generation& generation) {
  reader_.emplace(form_.chat, generation.answers()[0].id);
  return Event("message_start", {{"message", Message(generation, Json::array())}});
}

std::string MessageWriter::Token(const Generation&, size_t, const TokenEvent& token) {
  return Events(reader_->Push(token));
}

std::string MessageWriter::AnswerEnd(const Generation&, size_t) {
  std::string events = Events(reader_->Finish());
  events += Close();
  return events;
}

std::string MessageWriter::Waiting(const Generation& generation) {
  return Event("ping", {{"prompt_progress", PromptProgressJson(generation)}});
}

std::string MessageWriter::End(const Generation& generation) {
  const Answer& answer = generation.answers()[0];
  const std::string_view reason = StopReason(answer, ReadChatAnswer(form_.chat, answer));
  Json delta{{"stop_reason", reason}, {"stop_sequence", nullptr}, {"stop_details", nullptr}};
  if (reason == "stop_sequence") delta["stop_sequence"] = *answer.stop;
  return Event("message_delta", {{"delta", std::move(delta)},
                                 {"usage", Usage(generation, reader_->reasoning_tokens())}}) +
         Event("message_stop", Json::object());
}

std::string MessageWriter::Failure(const Error& error) {
  return FrameNamedEvent("error", RenderAnthropicError(error, form_.request_id));
}

std::string MessageWriter::Events(const std::vector<ChatPiece>& pieces) {
  std::string events;
  if (form_.max_tokens == 0) return events;
  for (const ChatPiece& piece : pieces) {
    switch (piece.kind) {
      case Kind::kReasoning:
        events += Open(piece.kind, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
        if (form_.omits_thoughts) {
          thought_ += piece.text;
        } else {
          events += Delta({{"type", "thinking_delta"}, {"thinking", piece.text}});
        }
        break;
      case Kind::kText:
        events += Open(piece.kind, {{"type", "text"}, {"text", ""}});
        events += Delta({{"type", "text_delta"}, {"text", piece.text}});
        break;
      case Kind::kCallBegin:
        events += Close();
        events += Open(piece.kind, {{"type", "tool_use"},
                                    {"id", piece.id},
                                    {"name", piece.name},
                                    {"input", Json::object()}});
        break;
      case Kind::kArguments:
        events += Delta({{"type", "input_json_delta"}, {"partial_json", piece.text}});
        break;
      case Kind::kCallEnd:
        events += Close();
        break;
    }
  }
  return events;
}

std::string MessageWriter::Open(Kind kind, const Json& block) {
  if (open_ == kind) return {};
  std::string events = Close();
  open_ = kind;
  return events + Event("content_block_start", {{"index", blocks_++}, {"content_block", block}});
}

// REQUIRES: a block is open.
std::string MessageWriter::Delta(const Json& delta) const {
  return Event("content_block_delta", {{"index", blocks_ - 1}, {"delta", delta}});
}

std::string MessageWriter::Close() {
  if (!open_) return {};
  std::string events;
  if (open_ == Kind::kReasoning) {
    events = Delta({{"type", "signature_delta"},
                    {"signature", ThoughtSignature(thought_, form_.omits_thoughts)}});
  }
  open_.reset();
  return events + Event("content_block_stop", {{"index", blocks_ - 1}});
}

}  // namespace lockstep
