// The parent's lists: every model with its state. What only a loaded model knows of itself, its
// process is asked for, so that an entry of a list says what the model's own server would say.
#include <fmt/format.h>

#include <chrono>
#include <future>
#include <utility>

#include "core/base/digest.h"
#include "core/base/quoted.h"
#include "server/api/json_reply.h"
#include "server/api/ollama/ollama_common.h"
#include "server/api/request_body.h"
#include "server/api/server_info.h"
#include "server/http/error_reply.h"
#include "server/http/gzip.h"
#include "server/http/query.h"
#include "server/http/sse.h"
#include "server/http/upstream.h"
#include "server/hub/model_name.h"
#include "server/models/file_description.h"
#include "server/models/merged_metrics.h"
#include "server/models/parent_api.h"
#include "server/models/parent_metrics.h"

namespace lockstep {
namespace {

using std::chrono::system_clock;

constexpr std::chrono::seconds kPatience{5};
// A scrape comes again, many times a second from gateways, which take two seconds for too old.
constexpr std::chrono::seconds kMetricsPatience{1};

const char* StateText(ModelState state) {
  switch (state) {
    case ModelState::kUnloaded:
      return "unloaded";
    case ModelState::kLoading:
      return "loading";
    case ModelState::kLoaded:
      return "loaded";
    case ModelState::kUnloading:
      return "unloading";
  }
  return "";
}

// The state of a model in llama-server's words.
Json StatusJson(const ModelStatus& status) {
  Json json{{"value", StateText(status.state)}};
  if (status.failed && status.state == ModelState::kUnloaded) {
    json["failed"] = true;
    json["exit_code"] = status.exit_code;
  }
  return json;
}

// Stands in for the hash of a file that was not read: it changes when the file does, as that would.
std::string StandInDigest(const CatalogModel& model) {
  Digest digest;
  digest.Add(model.path);
  digest.AddNumber(model.bytes);
  digest.AddNumber(static_cast<uint64_t>(model.modified));
  return Hex(digest.Bytes());
}

}  // namespace

std::optional<HttpReply> ParentApi::AskFor(const HttpRequest& request, const ModelStatus& status,
                                           const char* path,
                                           const std::function<bool()>& gone) const {
  if (status.state != ModelState::kLoaded) return std::nullopt;
  UpstreamRequest upstream;
  upstream.method = "GET";
  upstream.target = path;
  for (const char* name : {"Authorization", "X-Api-Key"}) {
    const std::string_view key = FindHeader(request.headers, name);
    if (!key.empty()) upstream.headers.emplace_back(name, key);
  }
  auto reply = AskUpstream(status.port, upstream, gone);
  return reply ? std::optional(*std::move(reply)) : std::nullopt;
}

Json ParentApi::AskLoaded(RouteCall& call, const ModelStatus& status, const char* path,
                          const char* array) {
  // A process that has stopped answering holds up no list.
  const auto end = Supervisor::Clock::now() + kPatience;
  const auto reply = AskFor(call.request, status, path, [&call, end] {
    return call.request.client_gone() || Supervisor::Clock::now() >= end;
  });
  if (!reply || reply->status != 200) return {};
  auto json = ParseStrictObject(reply->body);
  if (!json || !json->contains(array) || (*json)[array].empty()) return {};
  return std::move((*json)[array][0]);
}

Json ParentApi::ModelJson(RouteCall& call, const CatalogModel& model) {
  const ModelStatus status = supervisor_.StatusOf(model.name);
  Json json{{"id", model.name},
            {"object", "model"},
            {"created", model.modified},
            {"owned_by", "lockstep"},
            {"meta", {{"size", model.bytes}}}};
  if (Json loaded = AskLoaded(call, status, "/v1/models", "data"); loaded.is_object()) {
    json.update(loaded);
    json["id"] = model.name;
  }
  json["status"] = StatusJson(status);
  return json;
}

HttpReply ParentApi::List(RouteCall& call) {
  Json data = Json::array();
  for (const CatalogModel& model : catalog_.List()) data.push_back(ModelJson(call, model));
  return ModelsReply(call, std::move(data));
}

HttpReply ParentApi::One(RouteCall& call) {
  if (call.place.empty()) return List(call);  // the list's path, with a slash behind it
  const auto model = Choose(std::string(call.place));
  return model ? ModelReply(call, ModelJson(call, *model)) : ErrorReply(model.error());
}

HttpReply ParentApi::Props() const {
  return JsonReply({{"role", "router"},
                    {"max_instances", settings_.most_loaded},
                    {"models_autoload", true},
                    {"model_alias", "lockstep"},
                    {"model_path", "none"},
                    {"default_generation_settings", {{"params", Json::object()}, {"n_ctx", 0}}},
                    {"build_info", settings_.build}});
}

HttpReply ParentApi::LoadOrUnload(RouteCall& call, bool load) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return std::move(body.error());
  const auto wish = ReadWish(body->json, call.request.path);
  if (!wish) return ErrorReply(wish.error());
  if (load) {
    if (const Status begun = supervisor_.Load(wish->model); !begun)
      return ErrorReply(begun.error());
  } else if (!supervisor_.Unload(wish->model.name)) {
    return ErrorReply({ErrorKind::kInvalidArgument,
                       fmt::format("the model {} is not loaded", Quoted(wish->model.name)),
                       "model"});
  }
  return JsonReply({{"success", true}});
}

Json ParentApi::OllamaJson(RouteCall& call, const CatalogModel& model, const ModelStatus& status) {
  Json json{{"name", TaggedName(model.name)},
            {"model", TaggedName(model.name)},
            {"size", model.bytes},
            {"digest", StandInDigest(model)},
            {"details",
             {{"parent_model", ""},
              {"format", "gguf"},
              {"family", ""},
              {"families", Json::array()},
              {"parameter_size", ""},
              {"quantization_level", QuantOf(model.path)}}},
            {"modified_at", Rfc3339(system_clock::from_time_t(model.modified))}};
  if (Json loaded = AskLoaded(call, status, "/api/tags", "models"); loaded.is_object()) {
    json.update(loaded);
    json["name"] = json["model"] = TaggedName(model.name);
  }
  return json;
}

HttpReply ParentApi::OllamaList(RouteCall& call, bool running) {
  Json models = Json::array();
  for (const CatalogModel& model : catalog_.List()) {
    const ModelStatus status = supervisor_.StatusOf(model.name);
    if (running && status.state != ModelState::kLoaded) continue;
    Json json = OllamaJson(call, model, status);
    if (running) {
      json.erase("modified_at");
      json["expires_at"] = kNever;
      if (status.expires) {
        const auto left = *status.expires - Supervisor::Clock::now();
        json["expires_at"] =
            Rfc3339(system_clock::now() + std::chrono::duration_cast<system_clock::duration>(left));
      }
      json["size_vram"] = 0;
      const Json own = AskLoaded(call, status, "/api/ps", "models");
      json["context_length"] = own.is_object() ? own.value("context_length", 0) : 0;
    }
    models.push_back(std::move(json));
  }
  return JsonReply({{"models", std::move(models)}});
}

// Clients ask it of every model of the list before they offer it, so that it loads none.
HttpReply ParentApi::OllamaShow(RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return std::move(body.error());
  const auto wish = ReadWish(body->json, call.request.path);
  if (!wish) return ErrorReply(wish.error());
  if (supervisor_.StatusOf(wish->model.name).state == ModelState::kLoaded) {
    return PassOn(call, *wish);
  }
  const auto said = DescribeFile(wish->model.path, settings_.generic_tools);
  if (!said) return ErrorReply(WithoutFolder(said.error(), wish->model.path));
  Json json = *said;
  json["modified_at"] = Rfc3339(system_clock::from_time_t(wish->model.modified));
  return JsonReply(json);
}

HttpReply ParentApi::OllamaPull(RouteCall& call) {
  auto body = ReadBody(call.request, call.caller, call.settings.memory);
  if (!body) return std::move(body.error());
  const auto wish = ReadWish(body->json, call.request.path);
  if (!wish) {
    Error error = wish.error();
    if (error.kind == ErrorKind::kNotFound) {
      error.message += "; `lockstep pull` fetches others";
    }
    return ErrorReply(error);
  }
  HttpReply reply = JsonReply({{"status", "success"}});
  const Json* const stream = FindField(body->json, "stream");
  if (stream == nullptr || *stream != false) {
    reply.content_type = ContentType(StreamFormat::kNdjson);
    reply.body = FrameEvent(StreamFormat::kNdjson, reply.body);
  }
  return reply;
}

// The models are asked side by side, so that the slowest takes the time of all.
std::string ParentApi::AllMetrics(const HttpRequest& request) {
  const auto until = Supervisor::Clock::now() + kMetricsPatience;
  const auto all = supervisor_.All();
  std::vector<std::pair<std::string, std::future<std::optional<HttpReply>>>> asked;
  for (const auto& [name, status] : all) {
    if (status.state != ModelState::kLoaded) continue;
    asked.emplace_back(name, std::async(std::launch::async, [&, &of = status] {
                         return AskFor(request, of, "/metrics",
                                       [until] { return Supervisor::Clock::now() >= until; });
                       }));
  }
  std::vector<ModelMetrics> models;
  for (auto& [name, answer] : asked) {
    auto reply = answer.get();
    if (!reply) supervisor_.MissMetrics(name);
    // A model may have none, by a preset.
    if (reply && reply->status == 200) models.push_back({name, std::move(reply->body)});
  }
  return MergedMetrics(MetricsText(settings_.memory, supervisor_.All()), models);
}

// The metrics of the model that the query names; without a name, those of all models.
HttpReply ParentApi::Metrics(RouteCall& call) {
  if (!settings_.metrics) return ErrorReply(404, "this server has no metrics: --no-metrics");
  for (const auto& [name, value] : ParseQuery(call.request.query)) {
    if (name != "model" || value.empty()) continue;
    const auto model = Choose(value);
    if (!model) return ErrorReply(model.error());
    const ModelStatus status = supervisor_.StatusOf(model->name);
    if (status.state != ModelState::kLoaded) {
      return ErrorReply({ErrorKind::kInvalidArgument,
                         fmt::format("the model {} is not loaded", Quoted(model->name)), "model"});
    }
    auto reply = Ask(call, status.port, {});
    return reply ? *std::move(reply) : ErrorReply(reply.error());
  }
  HttpReply reply;
  reply.content_type = kMetricsType;
  reply.body = AllMetrics(call.request);
  return Compressed(std::move(reply), call.request.headers);
}

}  // namespace lockstep
