// What the server says of itself: its model, its state. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/generation/generation_service.h"

namespace lockstep {

// Whether the model answers to it; the alias * stands for any.
bool IsModelName(const ServedModel& model, const std::vector<std::string>& aliases,
                 std::string_view name);

Error NoSuchModel(const ServedModel& model, std::string_view name);

// {"object": "list", "data": [...]}: the model under its own name and its aliases.
std::string RenderModels(const ServedModel& model, const std::vector<std::string>& aliases);
// One entry of that list.
std::string RenderModel(const ServedModel& model, std::string_view name);
// GET /info, in the words of text-generation-inference.
std::string RenderTgiInfo(const ServedModel& model, const SchedulerState& state);
// {"status", "queued", "running"}
std::string RenderState(std::string_view status, const SchedulerState& state);
// {"status": "loading", "percent"}
std::string RenderLoading(size_t percent);

}  // namespace lockstep
