// Answers that need no request but its path, each made anew: they are small and say what is so now.
#include "server/api/server_info.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "server/api/embedded_files.h"
#include "server/api/json_reply.h"
#include "server/api/request_fields.h"
#include "server/api/tei_api.h"
#include "server/http/error_reply.h"
#include "server/http/gzip.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

// The entry has the form of OpenAI's list. The context's length stands under the names by which
// each of the clients looks for it.
Json ModelJson(const ServedModel& model, std::string_view name) {
  return {{"id", name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "lockstep"},
          {"context_length", model.context},
          {"max_model_len", model.context},  // the same, as vLLM's clients read it
          {"context_window", model.context},
          {"meta",  // and llama-server's
           {{"n_ctx", model.context},
            {"n_ctx_train", model.card.context},
            {"n_vocab", model.vocab},
            {"n_embd", model.card.dim},
            {"n_params", model.card.parameters},
            {"size", model.card.bytes}}},
          {"chat", model.chat},
          {"capabilities", Json::array({Capability(model)})},
          {"system_fingerprint", model.fingerprint}};
}

// Anthropic's clients name the version of their API.
bool IsAnthropic(const RouteCall& call) {
  return !FindHeader(call.request.headers, "anthropic-version").empty();
}

// An entry of OpenAI's list as one of Anthropic's. What a model that is not loaded reads at most is
// not known.
Json AnthropicEntry(const Json& entry) {
  const auto created = static_cast<std::time_t>(entry["created"].get<int64_t>());
  Json json{{"type", "model"},
            {"id", entry["id"]},
            {"display_name", entry["id"]},
            {"created_at", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(created))}};
  if (entry.contains("context_length")) json["max_input_tokens"] = entry["context_length"];
  return json;
}

HttpReply NotReady(const Json& body, double retry_after_s) {
  HttpReply reply = JsonReply(body);
  reply.status = 503;
  AddRetryAfter(reply, retry_after_s);
  return reply;
}

}  // namespace

HttpReply Models(RouteCall& call) {
  const ServedModel& model = call.service->model();
  Json data = Json::array({ModelJson(model, model.name)});
  for (const std::string& alias : call.settings.generate.names.aliases) {
    if (alias != "*" && alias != model.name) data.push_back(ModelJson(model, alias));
  }
  if (const ServedModel* const beside = ModelBeside(*call.service)) {
    data.push_back(ModelJson(*beside, beside->name));
  }
  return ModelsReply(call, std::move(data));
}

HttpReply ModelsReply(const RouteCall& call, Json data) {
  if (!IsAnthropic(call)) return JsonReply({{"object", "list"}, {"data", std::move(data)}});
  for (Json& entry : data) entry = AnthropicEntry(entry);
  if (data.empty()) {
    return JsonReply(
        {{"data", data}, {"has_more", false}, {"first_id", nullptr}, {"last_id", nullptr}});
  }
  const Json first = data.front()["id"], last = data.back()["id"];  // one page has all
  return JsonReply(
      {{"data", std::move(data)}, {"has_more", false}, {"first_id", first}, {"last_id", last}});
}

HttpReply ModelReply(const RouteCall& call, const Json& entry) {
  return JsonReply(IsAnthropic(call) ? AnthropicEntry(entry) : entry);
}

HttpReply OneModel(RouteCall& call) {
  const std::string_view name = call.place;
  if (name.empty()) return Models(call);  // the list's path, with a slash behind it
  const ServedModel* const model = FindModel(*call.service, call.settings.generate.names, name);
  if (name.size() > kMaxModelName || model == nullptr) {
    return ErrorReply(NoSuchModel(call.service->model(), name));
  }
  return ModelReply(call, ModelJson(*model, name));
}

HttpReply Info(RouteCall& call) {
  const ServedModel& model = call.service->model();
  if (model.encodes) return TeiInfo(call);
  return JsonReply({{"model_id", model.name},
                    {"model_sha", model.fingerprint},
                    {"model_pipeline_tag", "text-generation"},
                    {"max_concurrent_requests", call.service->state().sessions},
                    {"max_best_of", kMaxAnswers},
                    {"max_stop_sequences", kMaxStops},
                    {"max_input_tokens", model.context - 1},
                    {"max_total_tokens", model.context},
                    {"router", "lockstep"},
                    {"version", LOCKSTEP_VERSION}});
}

HttpReply Props(RouteCall& call) {
  const ServedModel& model = call.service->model();
  const ChatModel* const chat = call.service->chat() ? &*call.service->chat() : nullptr;
  // Calls are written in the template's own way, or in one that serves every model.
  const bool tools = chat != nullptr && (chat->forms.calls || call.settings.generate.generic_tools);
  const SamplingParams sampling;
  const auto text = [&call](int32_t token) {
    return token < 0 ? std::string_view() : call.service->TokenText(token);
  };
  return JsonReply(
      {{"default_generation_settings",
        {{"n_ctx", model.context},
         {"params",
          {{"n_predict", -1},
           {"temperature", sampling.temperature},
           {"top_k", sampling.top_k},
           {"top_p", sampling.top_p},
           {"min_p", sampling.min_p},
           {"repeat_penalty", sampling.repetition_penalty}}}}},
       {"total_slots", call.service->state().sessions},
       {"model_alias", model.name},
       {"model_path", model.name},  // where the file lies is nobody's business
       {"modalities", {{"vision", false}, {"audio", false}}},
       {"capabilities", Json::array({Capability(model)})},
       {"chat_template", chat != nullptr ? chat->source : ""},
       {"chat_template_caps", {{"supports_tools", tools}, {"supports_tool_calls", tools}}},
       {"bos_token", chat != nullptr ? std::string_view(chat->bos) : text(model.bos)},
       {"eos_token", chat != nullptr ? std::string_view(chat->eos) : text(model.eos)},
       {"build_info", "lockstep-" LOCKSTEP_VERSION},
       {"is_sleeping", false}});
}

// Which session a request has is nobody's business, only how many are taken.
HttpReply Slots(RouteCall& call) {
  const SchedulerState state = call.service->state();
  Json slots = Json::array();
  for (size_t i = 0; i < state.sessions; ++i) {
    slots.push_back({{"id", i},
                     {"n_ctx", call.service->model().context},
                     {"speculative", true},
                     {"is_processing", i < state.running}});
  }
  return JsonReply(slots);
}

HttpReply TokenizerInfo(RouteCall& call) {
  const GenerationService& service = *call.service;
  const ServedModel& model = service.model();
  const auto name = [&service](int32_t token) {
    return token < 0 ? Json() : Json(std::string(service.TokenText(token)));
  };
  return JsonReply({{"bos_token", name(model.bos)},
                    {"eos_token", name(model.eos)},
                    {"pad_token", name(model.pad)},
                    {"add_bos_token", model.adds_bos},
                    {"model_max_length", model.context},
                    {"vocab_size", model.vocab},
                    {"chat_template", service.chat() ? Json(service.chat()->source) : Json()}});
}

HttpReply Version(RouteCall&) { return JsonReply({{"version", LOCKSTEP_VERSION}}); }

// That it is answered at all is what a liveness probe asks: a model that loads or a full queue is
// no reason for a restart.
HttpReply Live(RouteCall&) { return JsonReply({{"status", "ok"}}); }

HttpReply Ready(RouteCall& call) {
  if (call.service == nullptr) {
    return NotReady({{"status", "loading"}, {"percent", call.loaded_percent}}, 0);
  }
  SchedulerState state = call.service->state();
  if (const EmbeddingService* const embeddings = call.service->embeddings()) {
    state.stalled = state.stalled || embeddings->state().stalled;
  }
  const char* const status = state.draining ? "draining" : state.stalled ? "stalled" : "ok";
  Json body{{"status", status}, {"queued", state.queued}, {"running", state.running}};
  if (!state.draining && !state.stalled) return JsonReply(body);
  return NotReady(body, state.draining ? 1 : 0);  // while one drains, another takes its place
}

HttpReply RenderMetrics(RouteCall& call) {
  HttpReply reply;
  reply.content_type = Metrics::kContentType;
  reply.body =
      call.settings.metrics->Render(call.service, call.loaded_percent, call.settings.memory);
  return Compressed(std::move(reply), call.request.headers);
}

HttpReply OneModelOnly(RouteCall& call) {
  return ErrorReply(501, fmt::format("{} is for servers of several models: this one has the one "
                                     "that it was started with, and --models-dir serves a folder's",
                                     call.request.path));
}

HttpReply OpenApi(RouteCall&) {
  HttpReply reply;
  reply.body = OpenApiDocument();
  return reply;
}

}  // namespace lockstep
