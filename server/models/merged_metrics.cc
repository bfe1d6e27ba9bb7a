// The format wants all series of a family behind its one HELP and TYPE. A series belongs to the
// family whose heads stand before it, whatever its name ends with: a histogram's has three.
#include "server/models/merged_metrics.h"

#include <map>
#include <string_view>
#include <vector>

namespace lockstep {
namespace {

struct Family {
  std::string heads, series;
};

class Families {
 public:
  void Add(std::string_view text, const std::string* model) {
    Family* family = nullptr;
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      if (line.empty()) continue;
      if (line[0] == '#') {
        family = &OfHead(line);
      } else if (family != nullptr) {
        AddSeries(line, model, family->series);
      }
    }
  }
  std::string Take() const {
    std::string text;
    for (const std::string& name : order_) {
      const Family& family = families_.at(name);
      text += family.heads + family.series;
    }
    return text;
  }

 private:
  // "# HELP name text" or "# TYPE name type": a later server's are the first one's again.
  Family& OfHead(std::string_view line) {
    const size_t begin = std::min(line.size(), line.find(' ', 2));
    const std::string_view kind = line.substr(0, begin);
    std::string_view name = line.substr(std::min(line.size(), begin + 1));
    name = name.substr(0, name.find(' '));
    const auto [found, is_new] = families_.try_emplace(std::string(name));
    if (is_new) order_.emplace_back(name);
    std::string& heads = found->second.heads;
    if (heads.find(std::string(kind) + " ") == heads.npos) heads.append(line) += '\n';
    return found->second;
  }

  static void AddSeries(std::string_view line, const std::string* model, std::string& to) {
    if (model == nullptr) {
      to.append(line) += '\n';
      return;
    }
    const size_t name_end = std::min(line.find_first_of("{ "), line.size());
    to.append(line.substr(0, name_end)).append("{model=\"").append(LabelValue(*model)) += '"';
    line.remove_prefix(name_end);
    if (line.starts_with('{')) {
      line.remove_prefix(1);
      while (!line.empty() && line[0] != '}') {
        const size_t end = LabelEnd(line);
        if (!line.starts_with("model=")) to.append(",").append(line.substr(0, end));
        line.remove_prefix(end);
        if (line.starts_with(',')) line.remove_prefix(1);
      }
      line.remove_prefix(std::min<size_t>(1, line.size()));
    }
    to.append("}").append(line) += '\n';
  }

  // Behind name="value", in which a backslash keeps what follows it from being an end.
  static size_t LabelEnd(std::string_view labels) {
    size_t i = std::min(labels.find('"'), labels.size());
    for (++i; i < labels.size() && labels[i] != '"'; ++i) {
      if (labels[i] == '\\') ++i;
    }
    return std::min(i + 1, labels.size());
  }

  std::map<std::string, Family, std::less<>> families_;
  std::vector<std::string> order_;  // in which they came
};

}  // namespace

std::string LabelValue(const std::string& text) {
  std::string value;
  for (const char c : text) {
    if (c == '\n') {
      value += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') value += '\\';
    value += c;
  }
  return value;
}

std::string MergedMetrics(const std::string& own, std::span<const ModelMetrics> models) {
  Families families;
  families.Add(own, nullptr);
  for (const ModelMetrics& model : models) families.Add(model.text, &model.model);
  return families.Take();
}

}  // namespace lockstep
