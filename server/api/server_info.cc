#include "server/api/server_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/quoted.h"
#include "server/api/request_fields.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

Json ModelJson(const ServedModel& model, std::string_view name) {
  return {{"id", name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "lockstep"},
          {"context_length", model.context},
          {"chat", model.chat},
          {"system_fingerprint", model.fingerprint}};
}

}  // namespace

bool IsModelName(const ServedModel& model, const std::vector<std::string>& aliases,
                 std::string_view name) {
  return name == model.name || std::any_of(aliases.begin(), aliases.end(), [&](const auto& alias) {
           return alias == "*" || alias == name;
         });
}

Error NoSuchModel(const ServedModel& model, std::string_view name) {
  return {ErrorKind::kNotFound,
          fmt::format("there is no model {}; this server has {}", Quoted(name), Quoted(model.name)),
          "model"};
}

std::string RenderModels(const ServedModel& model, const std::vector<std::string>& aliases) {
  Json data = Json::array({ModelJson(model, model.name)});
  for (const std::string& alias : aliases) {
    if (alias != "*" && alias != model.name) data.push_back(ModelJson(model, alias));
  }
  return Dump(Json{{"object", "list"}, {"data", std::move(data)}});
}

std::string RenderModel(const ServedModel& model, std::string_view name) {
  return Dump(ModelJson(model, name));
}

std::string RenderTgiInfo(const ServedModel& model, const SchedulerState& state) {
  return Dump(Json{{"model_id", model.name},
                   {"model_sha", model.fingerprint},
                   {"model_pipeline_tag", "text-generation"},
                   {"max_concurrent_requests", state.sessions},
                   {"max_best_of", kMaxAnswers},
                   {"max_stop_sequences", kMaxStops},
                   {"max_input_tokens", model.context - 1},
                   {"max_total_tokens", model.context},
                   {"router", "lockstep"},
                   {"version", LOCKSTEP_VERSION}});
}

std::string RenderState(std::string_view status, const SchedulerState& state) {
  return Dump(Json{{"status", status}, {"queued", state.queued}, {"running", state.running}});
}

std::string RenderLoading(size_t percent) {
  return Dump(Json{{"status", "loading"}, {"percent", percent}});
}

}  // namespace lockstep
