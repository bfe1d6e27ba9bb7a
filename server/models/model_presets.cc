// What a setting means is the flags' business: here a file becomes names and values, and what no
// reader could understand in one way only is refused.
#include "server/models/model_presets.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "server/http/http_types.h"

namespace lockstep {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kMostPresets = 1000;

bool Has(const Settings& settings, std::string_view key) {
  return std::ranges::any_of(settings, [key](const auto& setting) { return setting.first == key; });
}

// The line of a section without a comment behind it. Those of settings have none, since a file's
// name may have what begins one.
std::string_view WithoutComment(std::string_view line) {
  for (size_t end = line.find(']'); end != line.npos; end = line.find(']', end + 1)) {
    const std::string_view rest = TrimSpaces(line.substr(end + 1), " \t");
    if (rest.starts_with(';') || rest.starts_with('#')) return line.substr(0, end + 1);
  }
  return line;
}

}  // namespace

Result<std::vector<ModelPreset>> ParsePresets(std::string_view text, const std::string& source,
                                              Settings& all) {
  std::vector<ModelPreset> presets;
  Settings before;  // any section, where llama-server's files have a version
  Settings* section = &before;
  size_t number = 0;
  const auto fail = [&](const std::string& what) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--models-preset: {}, line {}: {}", Quoted(source), number, what),
                "models-preset");
  };
  if (!IsUtf8(text)) return fail("the file is not UTF-8");
  while (!text.empty()) {
    ++number;
    const std::string_view whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(whole.size() + 1, text.size()));
    std::string_view line = TrimSpaces(whole, " \t\r");
    if (line.empty() || line[0] == ';' || line[0] == '#') continue;
    if (line[0] == '[') {
      line = WithoutComment(line);
      if (!line.ends_with(']')) return fail("a section ends with ]");
      const std::string name(TrimSpaces(line.substr(1, line.size() - 2)));
      if (name.empty()) return fail("the section has no name");
      const auto same = [&name](const ModelPreset& preset) { return preset.name == name; };
      if (std::ranges::any_of(presets, same)) return fail("there are two sections of that name");
      if (presets.size() == kMostPresets) return fail("there are too many sections");
      if (name != "*") presets.push_back({name, {}});
      section = name == "*" ? &all : &presets.back().settings;
      continue;
    }
    const size_t equals = line.find('=');
    if (equals == line.npos) return fail("it is neither [NAME] nor KEY = VALUE");
    std::string key(TrimSpaces(line.substr(0, equals)));
    if (key.empty()) return fail("there is no key before =");
    if (section == &before && key != "version") return fail("it stands before the first [NAME]");
    if (Has(*section, key)) return fail(Quoted(key) + " is there twice");
    section->emplace_back(std::move(key), TrimSpaces(line.substr(equals + 1)));
  }
  return presets;
}

}  // namespace lockstep
