// Every route that generates goes one way: body, dialect's reader, digest, memory, generation. What
// differs between APIs is a Dialect, a struct of functions, so that no check can be missing on one
// of them. Where two APIs have one path, the body decides between their dialects.
#include "server/api/generate.h"

#include <utility>

#include "server/api/llama_api.h"
#include "server/api/llama_fields.h"
#include "server/api/native_api.h"
#include "server/api/openai/completions.h"
#include "server/api/request_body.h"
#include "server/api/request_digest.h"
#include "server/api/respond.h"
#include "server/api/tgi_api.h"
#include "server/generation/embedding_service.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

HttpReply AnswerFrom(Body body, Answerer answer, RouteCall& call) {
  ReadContext context = ContextOf(call, /*strict_dialect=*/false, std::move(body.memory));
  Result<std::string> text = answer(body.json, context);
  if (!text) return ErrorReply(text.error());
  HttpReply reply;
  reply.body = *std::move(text);
  return WithHeaders(std::move(reply), context);
}

// Chats are the other's alone.
bool IsForModelBeside(const Json& body, const RouteCall& call) {
  const ServedModel* const beside = ModelBeside(*call.service);
  const Json* const name = FindField(body, "model");
  if (beside == nullptr || name == nullptr || !name->is_string()) return false;
  if (FindField(body, "messages") != nullptr) return false;
  const auto& names = call.settings.generate.names;
  return FindModel(*call.service, names, name->get_ref<const std::string&>()) == beside;
}

}  // namespace

const Dialect& NativeOrTgi(const Json& body) { return IsTgiRequest(body) ? kTgi : kNative; }

const Dialect& OpenAiOrLlama(const Json& body) {
  return IsLlamaRequest(body) ? kLlamaCompletion : kOpenAiCompletions;
}

HttpReply GenerateIn(DialectChoice choose, RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return body.error();
  const Dialect& dialect = choose(body->json);
  ReadContext context = ContextOf(call, dialect.strict, std::move(body->memory));
  // `context` is done with here, except for the reply's headers: the reply that is made may outlive
  // it.
  auto read = dialect.read(body->json, context);
  if (!read) return dialect.error(read.error());
  read->generate.grammar_work = context.compile_for.work;
  if (read->reply) return WithHeaders(*std::move(read->reply), context);
  const ServedModel& model = call.service->model();
  if (model.encodes) return dialect.error(GeneratesNothing(model));
  read->generate.digest = RequestDigest(call.request.path, body->json);
  // Many a client takes a line "data: " for an event's first, and would lose what has an id before
  // it. Who asks for this type reads it as it is specified; the packages of OpenAI and Anthropic
  // ask for JSON.
  read->event_ids = ChooseStreamFormat(context.accept) == StreamFormat::kSse;
  read->last_event_id = TrimSpaces(FindHeader(call.request.headers, "Last-Event-ID"));
  // An answer may take long, and needs the body no more.
  body->json = nullptr;
  read->memory = std::move(context.memory);
  read->memory.Force(kReadingCopies * call.request.body.size());
  if (Status status = read->memory.Grow(read->repeated_bytes); !status) {
    return dialect.error(status.error());
  }
  return WithHeaders(Respond(*call.service, *std::move(read), dialect, std::move(call.caller),
                             call.settings.generate.keep_alive),
                     context);
}

HttpReply AnswerAtOnceBy(Answerer answer, RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return body.error();
  return AnswerFrom(*std::move(body), answer, call);
}

HttpReply AnswerOfEitherBy(Answerer answer, RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return body.error();
  if (IsForModelBeside(body->json, call)) call.service = &call.service->embeddings()->alone();
  return AnswerFrom(*std::move(body), answer, call);
}

}  // namespace lockstep
