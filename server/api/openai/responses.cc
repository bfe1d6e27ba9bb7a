// Reading ends with a prompt, as in chats, and with what the response repeats of its request: the
// clients' types insist on these fields.
#include "server/api/openai/responses.h"

#include <string>
#include <utility>

#include "server/api/chat/prepare.h"
#include "server/api/openai/responses_input.h"
#include "server/api/openai/responses_request.h"
#include "server/api/openai/responses_writer.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

constexpr char kStateless[] =
    "cannot be used: the server keeps the last responses for previous_response_id, and nothing "
    "else; send the whole conversation as input";

// What asks the server to remember, or to go on by itself.
void RefuseState(FieldReader& fields) {
  for (const char* name : {"conversation", "prompt"}) fields.Refuse(name, kStateless);
  bool background = false;
  if (fields.Bool("background", &background) && background) fields.Fail("background", kStateless);
  if (const Json* const edits = fields.Take("context_management"); edits && !edits->empty()) {
    fields.Fail("context_management", kStateless);
  }
}

// The items of the conversation that the request goes on with, and where its response is to be
// kept, as OpenAI keeps it unless it is told otherwise.
Json ReadState(FieldReader& fields, ReadContext& context, ResponsesForm* form) {
  form->owner = context.compile_for.name;
  bool store = true;
  fields.Bool("store", &store);
  if (store) form->store = context.responses;
  constexpr char kPrevious[] = "previous_response_id";
  if (!fields.Text(kPrevious, &form->previous) || form->previous.empty()) return Json::array();
  if (context.responses == nullptr) fields.Fail(kPrevious, kStateless);
  if (!fields.ok()) return Json::array();
  auto history = context.responses->Conversation(form->owner, form->previous);
  if (history) return *std::move(history);
  history.error().param = kPrevious;
  fields.Fail(std::move(history.error()));
  return Json::array();
}

// What is of no meaning here, be it that it concerns OpenAI's own tools or what others may know of
// the request.
void ReadForOpenAi(FieldReader& fields, ReadContext& context) {
  for (const char* name : {"client_metadata", "max_tool_calls", "prompt_cache_options"}) {
    fields.Take(name);
  }
  for (const char* name : {"moderation", "access_programs", "image"}) {
    if (fields.Has(name)) context.ignored.emplace_back(name);
  }
  std::string truncation;
  // The prompt is never cut: one that is too long is an error.
  if (fields.Text("truncation", &truncation) && truncation != "disabled") {
    context.ignored.emplace_back("truncation");
  }
}

void ReadInclude(FieldReader& fields, ReadContext& context, ResponsesRequest* request) {
  int32_t& logprobs = request->generate.options.sampling.logprobs;
  int32_t top = 0;
  if (fields.Integer("top_logprobs", 0, kMaxLogprobs, &top) && top > 0) logprobs = top;
  const Json* const include = fields.Take("include");
  if (include == nullptr) return;
  if (!include->is_array()) return fields.Fail("include", "must be a list of names");
  for (const Json& name : *include) {
    if (!name.is_string()) return fields.Fail("include", "must be a list of names");
    if (name == "reasoning.encrypted_content") {
      request->form.encrypted = true;
    } else if (name == "message.output_text.logprobs") {
      logprobs = top;
    } else {
      context.ignored.push_back("include." +
                                (name.is_string() ? name.get<std::string>() : Dump(name)));
    }
  }
}

// {"effort", "summary"}, and OpenRouter's {"enabled", "max_tokens"}. A summary is the thought
// itself, whatever its length.
void ReadReasoning(FieldReader& fields, ReadContext& context, Thinking* thinking,
                   bool* summarized) {
  fields.Object("reasoning", "must be an object", context.unknown(), [&](FieldReader& reasoning) {
    std::string text;
    bool enabled = true;
    size_t budget = 0;
    if (reasoning.Text("effort", &text)) thinking->effort = text;
    if (reasoning.Bool("enabled", &enabled)) thinking->enabled = enabled;
    if (reasoning.Integer("max_tokens", 0, INT32_MAX, &budget)) thinking->budget = budget;
    for (const char* name : {"summary", "generate_summary"}) {
      if (reasoning.Text(name, &text)) *summarized = text != "none";
    }
    for (const char* name : {"context", "mode"}) {
      if (reasoning.Has(name)) context.ignored.push_back(reasoning.Full(name));
    }
  });
}

// The fields of the request, with the defaults of those that were not sent. Of what the server does
// in a way of its own, whatever was sent, it says so.
Json Echo(const Json& body, bool stores) {
  const auto sent = [&body](const char* name, const Json& otherwise) -> Json {
    const auto field = body.find(name);
    return field == body.end() || field->is_null() ? otherwise : *field;
  };
  Json text{{"format", {{"type", "text"}}}}, reasoning{{"effort", nullptr}, {"summary", nullptr}};
  text.update(sent("text", Json::object()));
  reasoning.update(sent("reasoning", Json::object()));
  return {{"background", false},
          {"instructions", sent("instructions", nullptr)},
          {"max_output_tokens", sent("max_output_tokens", nullptr)},
          {"max_tool_calls", sent("max_tool_calls", nullptr)},
          {"metadata", sent("metadata", Json::object())},
          {"parallel_tool_calls", sent("parallel_tool_calls", true)},
          {"previous_response_id", sent("previous_response_id", nullptr)},
          {"prompt_cache_key", sent("prompt_cache_key", nullptr)},
          {"reasoning", std::move(reasoning)},
          {"safety_identifier", sent("safety_identifier", nullptr)},
          {"service_tier", "default"},
          {"store", stores},
          {"temperature", sent("temperature", 1.0)},
          {"text", std::move(text)},
          {"tool_choice", sent("tool_choice", "auto")},
          {"tools", sent("tools", Json::array())},
          {"top_logprobs", sent("top_logprobs", 0)},
          {"top_p", sent("top_p", 1.0)},
          {"truncation", "disabled"},
          {"user", sent("user", nullptr)}};
}

Result<ResponsesRequest> ReadResponsesRequest(const Json& body, ReadContext& context) {
  if (!context.service.chat()) return tl::unexpected(context.service.chat().error());
  ResponsesRequest request;
  GenerateRequest& generate = request.generate;
  FieldReader fields(body);
  Conversation conversation;
  RefuseState(fields);
  if (const Json* const tools = fields.Take("tools")) {
    AddResponsesTools(*tools, "tools", /*again=*/false, fields, context, &request.form.tools);
  }
  const Json history = ReadState(fields, context, &request.form);
  conversation.messages =
      ReadResponsesInput(fields, context, history, &request.form.tools, &request.form.input);
  if (request.form.store == nullptr) request.form.input = nullptr;
  conversation.choice = ReadResponsesToolChoice(fields, context, request.form.tools);
  conversation.tools = request.form.tools.list;
  ReadReasoning(fields, context, &conversation.thinking, &request.form.summarized);
  ReadOpenAiFields(fields, context, request);
  if (generate.n > 1) fields.Fail("n", "must be 1: a response has one answer");
  generate.options.max_tokens = INT32_MAX;  // what the context leaves
  fields.Integer("max_output_tokens", 1, INT32_MAX, &generate.options.max_tokens);
  ReadInclude(fields, context, &request);
  ReadForOpenAi(fields, context);
  fields.Object("text", "must be an object", context.unknown(), [&](FieldReader& text) {
    ReadTypedFormat(text, "format", context, &request.format);
    if (text.Has("verbosity")) context.ignored.push_back(text.Full("verbosity"));
  });
  TRY_OK(fields.Finish(context.unknown()));
  conversation.format = request.format;
  conversation.continues = false;  // an answer is an item of its own
  request.form.echo = Echo(body, request.form.store != nullptr);
  FieldNames names;
  names.messages = "input";
  names.enabled = "reasoning.enabled";
  names.effort = "reasoning.effort";
  names.budget = "reasoning.max_tokens";
  TRY(request.form.chat, PrepareChat(std::move(conversation), names, context, &generate));
  return request;
}

}  // namespace

const Dialect kOpenAiResponses = {ReadWith<ReadResponsesRequest, ResponsesWriter>, ErrorReply,
                                  "input"};

Result<std::string> AnswerInputTokens(const Json& body, ReadContext& context) {
  TRY(const ResponsesRequest request, ReadResponsesRequest(body, context));
  const auto& tokens = std::get<std::vector<int32_t>>(request.generate.prompts[0]);
  return Dump(Json{{"object", "response.input_tokens"}, {"input_tokens", tokens.size()}});
}

}  // namespace lockstep
