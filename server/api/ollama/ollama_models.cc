// Clients look here for what to offer to their users: the names, whether a model thinks or calls
// tools, and how long a prompt may be.
#include "server/api/ollama/ollama_models.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/quoted.h"
#include "server/api/json_reply.h"
#include "server/api/ollama/ollama_common.h"
#include "server/api/server_info.h"
#include "server/http/error_reply.h"
#include "server/http/sse.h"

namespace lockstep {
namespace {

using std::chrono::system_clock;

std::string ModifiedAt(const ServedModel& model) {
  return Rfc3339(
      system_clock::from_time_t(model.card.modified > 0 ? model.card.modified : model.created));
}

// What the model can do: the one that generates, or the one that makes vectors.
Json CapabilitiesOf(const GenerationService& service, const ServedModel& model,
                    bool generic_tools) {
  if (model.encodes) return Json::array({Capability(model)});
  return CapabilitiesJson(service, generic_tools);
}

Json ListedModel(const RouteCall& call, const ServedModel& model, std::string_view name) {
  return {
      {"name", TaggedName(name)},
      {"model", TaggedName(name)},
      {"size", model.card.bytes},
      {"digest", model.card.sha256},
      {"details", ModelDetailsJson(model.card)},
      {"capabilities", CapabilitiesOf(*call.service, model, call.settings.generate.generic_tools)}};
}

// The model under its own name and its aliases, and the one beside it, with `more` of each.
template <class More>
HttpReply ListReply(const RouteCall& call, const More& more) {
  Json models = Json::array();
  const auto add = [&](const ServedModel& model, std::string_view name) {
    models.push_back(ListedModel(call, model, name));
    models.back().update(more(model));
  };
  const ServedModel& own = call.service->model();
  add(own, own.name);
  for (const std::string& alias : call.settings.generate.names.aliases) {
    if (alias != "*" && alias != own.name) add(own, alias);
  }
  if (const ServedModel* const beside = ModelBeside(*call.service)) add(*beside, beside->name);
  return JsonReply({{"models", std::move(models)}});
}

// "model", or "name" as it was before; as sent, or the model's own if neither is there.
std::string ReadName(FieldReader& fields, const ServedModel& model) {
  std::string name, older;
  fields.Text("model", &name);
  fields.Text("name", &older);
  if (name.empty()) name = older;
  if (name.size() > kMaxModelName) {
    fields.Fail("model", fmt::format("has more than {} bytes", kMaxModelName));
  }
  return name.empty() ? model.name : name;
}

Result<DialectRequest> ReadPull(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  const ServedModel& model = context.service.model();
  const std::string asked = ReadName(fields, model);
  bool stream = true, insecure = false;
  fields.Bool("stream", &stream);
  fields.Bool("insecure", &insecure);  // how to fetch, where nothing is fetched
  TRY_OK(fields.Finish(context.unknown()));
  if (FindModel(context.service, context.names, asked) == nullptr) {
    return Fail(
        ErrorKind::kNotFound,
        fmt::format("this server fetches no models: it has {}, and another one is served by "
                    "starting it with --model FILE.gguf, not {}",
                    Quoted(model.name), Quoted(asked)),
        "model");
  }
  DialectRequest request;
  request.reply = JsonReply({{"status", "success"}});
  if (stream) {
    // Where the model answers to any name, whoever pulls one is told what it gets.
    const Json here{{"status", fmt::format("{} is what this server has", model.name)}};
    request.reply->content_type = ContentType(StreamFormat::kNdjson);
    request.reply->body = FrameEvent(StreamFormat::kNdjson, Dump(here)) +
                          FrameEvent(StreamFormat::kNdjson, request.reply->body);
  }
  return request;
}

}  // namespace

HttpReply OllamaTags(RouteCall& call) {
  return ListReply(call, [](const ServedModel& model) {
    return Json{{"modified_at", ModifiedAt(model)}};
  });
}

HttpReply OllamaRunning(RouteCall& call) {
  return ListReply(call, [](const ServedModel& model) {
    return Json{{"expires_at", kNever}, {"size_vram", 0}, {"context_length", model.context}};
  });
}

HttpReply OllamaVersion(RouteCall&) { return JsonReply({{"version", kOllamaVersion}}); }

Result<std::string> AnswerOllamaShow(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  const std::string name = ReadName(fields, context.service.model());
  bool verbose = false;
  fields.Bool("verbose", &verbose);  // asks for the whole vocabulary, which nobody needs twice
  fields.Take("system");
  fields.Take("template");
  fields.Take("options");
  TRY_OK(fields.Finish(context.unknown()));
  const ServedModel* const found = FindModel(context.service, context.names, name);
  if (found == nullptr) return tl::unexpected(NoSuchModel(context.service.model(), name));
  const ServedModel& model = *found;
  const bool chats = !model.encodes && context.service.chat();
  const std::string source = chats ? context.service.chat()->source : "";
  const std::string parameters = fmt::format("{:<30} {}", "num_ctx", model.context);
  return Dump({{"license", CardText(model.card, "general.license")},
               {"modelfile", fmt::format("FROM {}\nTEMPLATE \"\"\"{}\"\"\"\nPARAMETER {}\n",
                                         model.name, source, parameters)},
               {"parameters", parameters},
               {"template", source},
               {"details", ModelDetailsJson(model.card)},
               {"model_info", ModelInfoJson(model.card, model.context)},
               {"capabilities", CapabilitiesOf(context.service, model, context.generic_tools)},
               {"modified_at", ModifiedAt(model)}});
}

const Dialect kOllamaPull = {ReadPull, ErrorReply, "model"};

HttpReply OllamaNoLibrary(RouteCall& call) {
  return ErrorReply(501,
                    fmt::format("{} is not supported: this server has the one model that it was "
                                "started with, --model FILE.gguf, and keeps no others",
                                call.request.path));
}

}  // namespace lockstep
