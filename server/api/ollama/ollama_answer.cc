// A call comes whole, in one line, with its arguments as an object: so Ollama's clients run it as
// it comes. One that was cut off is left out, and done_reason says "length".
#include "server/api/ollama/ollama_answer.h"

#include <chrono>
#include <utility>

#include "server/api/answer_json.h"
#include "server/api/ollama/ollama_common.h"

namespace lockstep {
namespace {

using Kind = ChatPiece::Kind;

std::string Line(const Json& json) { return FrameEvent(StreamFormat::kNdjson, Dump(json)); }

int64_t Nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

Json HeadJson(const OllamaForm& form) {
  return {{"model", form.model}, {"created_at", Rfc3339(std::chrono::system_clock::now())}};
}

// The reader's grammar makes arguments an object.
Json CallJson(const ChatCall& call, size_t index) {
  const auto arguments = ParseStrictObject(call.arguments);
  return {{"id", call.id},
          {"function",
           {{"index", index},
            {"name", call.name},
            {"arguments", arguments ? *arguments : Json::object()}}}};
}

Json TokenJson(const GenerationService& service, int32_t token, float logprob) {
  const bool control = service.IsControl(token);
  return {{"token", std::string(control ? service.TokenText(token) : service.TokenBytes(token))},
          {"logprob", LogprobNumber(logprob)},
          {"bytes", BytesJson(service.TokenBytes(token))}};
}

Json LogprobJson(const GenerationService& service, const SampledToken& sampled) {
  Json json = TokenJson(service, sampled.token, sampled.logprob);
  if (sampled.top.empty()) return json;
  json["top_logprobs"] = Json::array();
  for (const TokenLogprob& top : sampled.top) {
    json["top_logprobs"].push_back(TokenJson(service, top.token, top.logprob));
  }
  return json;
}

}  // namespace

HttpReply OllamaLoadReply(const OllamaForm& form, bool unload) {
  Json json = HeadJson(form);
  if (form.chat) {
    json["message"] = {{"role", "assistant"}, {"content", ""}};
  } else {
    json["response"] = "";
  }
  json["done"] = true;
  json["done_reason"] = unload ? "unload" : "load";
  HttpReply reply;
  reply.body = Dump(json);
  return reply;
}

OllamaWriter::OllamaWriter(const GenerationService& service, OllamaForm form)
    : service_(service), form_(std::move(form)) {}

OllamaWriter::Piece OllamaWriter::PieceOf(std::vector<ChatPiece> parts) {
  Piece piece;
  for (ChatPiece& part : parts) {
    switch (part.kind) {
      case Kind::kReasoning:
        piece.thinking += part.text;
        break;
      case Kind::kText:
        piece.text += part.text;
        break;
      case Kind::kCallBegin:
        call_ = {std::move(part.id), std::move(part.name), {}, false};
        break;
      case Kind::kArguments:
        call_.arguments += part.text;
        break;
      case Kind::kCallEnd:
        piece.calls.push_back(CallJson(call_, calls_++));
        break;
    }
  }
  return piece;
}

Json OllamaWriter::LineJson(const Piece& piece) const {
  Json json = HeadJson(form_);
  if (form_.chat) {
    Json message{{"role", "assistant"}, {"content", piece.text}};
    if (!piece.thinking.empty()) message["thinking"] = piece.thinking;
    if (!piece.calls.empty()) message["tool_calls"] = piece.calls;
    json["message"] = std::move(message);
  } else {
    json["response"] = piece.text;
    if (!piece.thinking.empty()) json["thinking"] = piece.thinking;
  }
  json["done"] = false;
  return json;
}

// The tokens of the prompt, however it came, and of the answer.
Json OllamaWriter::Context(const Generation& generation) const {
  const GenerateRequest::Prompt& prompt = generation.request().prompts[0];
  const auto* const text = std::get_if<std::string>(&prompt);
  Json context = text != nullptr ? service_.Encode(*text) : std::get<std::vector<int32_t>>(prompt);
  for (const int32_t token : generation.answers()[0].tokens) context.push_back(token);
  return context;
}

// What the last line has besides. Nothing is loaded for a request.
void OllamaWriter::AddEnd(const Generation& generation, Json* line) const {
  const Answer& answer = generation.answers()[0];
  const JobStats& stats = answer.stats;
  (*line)["done"] = true;
  (*line)["done_reason"] = FinishName(answer.finish);
  if (form_.context) (*line)["context"] = Context(generation);
  (*line)["total_duration"] = Nanoseconds(stats.queue_s + stats.prefill_s + stats.decode_s);
  (*line)["load_duration"] = 0;
  (*line)["prompt_eval_count"] = answer.prompt_tokens;
  (*line)["prompt_eval_duration"] = Nanoseconds(stats.prefill_s);
  (*line)["eval_count"] = answer.tokens.size();
  (*line)["eval_duration"] = Nanoseconds(stats.decode_s);
  (*line)["seed"] = SeedJson(answer);
}

std::string OllamaWriter::Whole(const Generation& generation) {
  const Answer& answer = generation.answers()[0];
  Piece piece;
  if (form_.read) {
    ChatAnswer read = ReadChatAnswer(*form_.read, answer);
    piece.thinking = std::move(read.reasoning);
    piece.text = std::move(read.text);
    for (const ChatCall& call : read.calls) {
      if (call.whole) piece.calls.push_back(CallJson(call, piece.calls.size()));
    }
  } else {
    piece.text = answer.text;
  }
  Json json = LineJson(piece);
  AddEnd(generation, &json);
  if (answer.wants_logprobs) {
    json["logprobs"] = Json::array();
    for (const SampledToken& token : answer.logprobs) {
      json["logprobs"].push_back(LogprobJson(service_, token));
    }
  }
  return Dump(json);
}

std::string OllamaWriter::Begin(const Generation& generation) {
  if (form_.read) reader_.emplace(*form_.read, generation.answers()[0].id);
  return {};
}

std::string OllamaWriter::Token(const Generation& generation, size_t, const TokenEvent& token) {
  Piece piece;
  if (reader_) {
    piece = PieceOf(reader_->Push(token));
  } else {
    piece.text = token.text;
  }
  const bool logprobs = generation.answers()[0].wants_logprobs;
  if (piece.empty() && !logprobs) return {};
  Json json = LineJson(piece);
  if (logprobs) json["logprobs"] = Json::array({LogprobJson(service_, token.sampled)});
  return Line(json);
}

std::string OllamaWriter::AnswerEnd(const Generation&, size_t) {
  if (!reader_) return {};
  const Piece piece = PieceOf(reader_->Finish());
  return piece.empty() ? std::string() : Line(LineJson(piece));
}

// A line that says nothing, but how far the prompt is.
std::string OllamaWriter::Waiting(const Generation& generation) {
  Json json = LineJson({});
  json["prompt_progress"] = PromptProgressJson(generation);
  return Line(json);
}

std::string OllamaWriter::End(const Generation& generation) {
  Json json = LineJson({});
  AddEnd(generation, &json);
  return Line(json);
}

std::string OllamaWriter::Failure(const Error& error) {
  return Line(Json{{"error", error.message}});
}

}  // namespace lockstep
