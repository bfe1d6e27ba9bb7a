// What the parent of several models counts, in Prometheus' text format. A pure function.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "server/models/supervisor.h"

namespace lockstep {

inline constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

// `models`: those that were asked for since the start; `memory`: bytes for all of them.
std::string MetricsText(size_t memory, const std::map<std::string, ModelStatus>& models);

}  // namespace lockstep
