// Several servers' metrics as one text in Prometheus' format. Pure.
#pragma once

#include <span>
#include <string>

namespace lockstep {

struct ModelMetrics {
  std::string model;
  std::string text;  // of its own server
};

// Each family once, with what each model has of it. A model's series have its name as the label
// `model`, in place of one that they have already. `own` goes first, as it is.
std::string MergedMetrics(const std::string& own, std::span<const ModelMetrics> models);

// A label's value in the format of Prometheus: quotes, backslashes and line feeds are escaped.
std::string LabelValue(const std::string& text);

}  // namespace lockstep
