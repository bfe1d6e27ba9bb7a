// A request's name is only ever compared with the names of this list, and never becomes a path.
#include "server/models/model_catalog.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "server/hub/model_name.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".gguf", kTag = ":latest";

// The files of one folder by name; what is no file, or cannot be looked at, is left out.
std::map<std::string, fs::path> FilesOf(const fs::path& folder, std::error_code& error,
                                        std::vector<fs::path>* folders) {
  std::map<std::string, fs::path> files;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.')) continue;
    if (entry->is_directory(gone) && folders != nullptr) folders->push_back(entry->path());
    if (entry->is_regular_file(gone)) files.emplace(name, entry->path());
  }
  return files;
}

void Note(std::vector<std::string>* notes, std::string note) {
  if (notes != nullptr) notes->push_back(std::move(note));
}

std::vector<CatalogModel> ModelsAmong(const std::map<std::string, fs::path>& files,
                                      std::vector<std::string>* notes) {
  std::vector<CatalogModel> models;
  for (const auto& [file, path] : files) {
    if (!IsModelFile(file)) continue;
    const PartName part = ReadPartName(file);
    CatalogModel model;
    model.name = part.count > 1 ? part.prefix : file.substr(0, file.size() - kSuffix.size());
    model.path = path.string();
    if (!IsUtf8(file)) {
      Note(notes, fmt::format("{} is left out: its name is no UTF-8", Quoted(model.path)));
      continue;
    }
    bool whole = part.index == 1;
    for (size_t i = 1; whole && i <= part.count; ++i) {
      const auto found = files.find(part.count > 1 ? NameOfPart(part, i) : file);
      struct stat about {};
      whole = found != files.end() && stat(found->second.c_str(), &about) == 0;
      model.bytes += static_cast<uint64_t>(about.st_size);
      if (i == 1) model.modified = about.st_mtime;
    }
    if (whole) models.push_back(std::move(model));
  }
  return models;
}

// Fills in what is known of a file, which may be the first part of several.
void SetFile(const std::string& path, CatalogModel& model) {
  model.path = path;
  model.bytes = 0;
  model.modified = 0;
  const fs::path file(path);
  const PartName part = ReadPartName(file.filename().string());
  for (size_t i = 1; i <= part.count; ++i) {
    const fs::path each = part.count > 1 ? file.parent_path() / NameOfPart(part, i) : file;
    struct stat about {};
    if (stat(each.c_str(), &about) != 0) continue;  // to load it says what is missing
    model.bytes += static_cast<uint64_t>(about.st_size);
    model.modified = about.st_mtime;
  }
}

std::string_view WithoutEnd(std::string_view name, std::string_view end) {
  return name.ends_with(end) ? name.substr(0, name.size() - end.size()) : name;
}

}  // namespace

Result<std::vector<CatalogModel>> ScanModels(const std::string& folder,
                                             std::vector<std::string>* notes) {
  std::error_code error;
  std::vector<fs::path> folders;
  std::vector<CatalogModel> models = ModelsAmong(FilesOf(folder, error, &folders), notes);
  if (error) {
    return Fail(ErrorKind::kNotFound,
                fmt::format("--models-dir: {}: {}", Quoted(folder), error.message()), "models-dir");
  }
  for (const fs::path& inner : folders) {
    std::error_code unread;  // of another's folder nothing is said
    const auto files = FilesOf(inner, unread, nullptr);
    const std::string name = inner.filename().string();
    if (!IsUtf8(name)) {
      if (ModelsAmong(files, nullptr).empty()) continue;
      Note(notes, fmt::format("{} is left out: its name is no UTF-8", Quoted(inner.string())));
      continue;
    }
    std::vector<CatalogModel> found = ModelsAmong(files, notes);
    for (CatalogModel& model : found) {
      model.name = found.size() == 1 ? name : name + "/" + model.name;
      models.push_back(std::move(model));
    }
  }
  // Where a file and a folder have one name the file counts: it was found first.
  std::ranges::stable_sort(models, {}, &CatalogModel::name);
  std::vector<CatalogModel> first;
  for (CatalogModel& model : models) {
    if (!first.empty() && first.back().name == model.name) {
      Note(notes, fmt::format("{} is left out: {} has the same name, {}", Quoted(model.path),
                              Quoted(first.back().path), Quoted(model.name)));
    } else {
      first.push_back(std::move(model));
    }
  }
  return first;
}

ModelCatalog::ModelCatalog(std::string folder, std::function<std::vector<CatalogModel>()> fetched,
                           std::vector<CatalogModel> presets, std::vector<std::string> all)
    : folder_(std::move(folder)),
      fetched_(std::move(fetched)),
      presets_(std::move(presets)),
      all_(std::move(all)) {
  List();
}

std::vector<CatalogModel> ModelCatalog::List() {
  Result<std::vector<CatalogModel>> models;
  if (!folder_.empty()) models = ScanModels(folder_);
  std::vector<CatalogModel> fetched = fetched_();
  const MutexLock lock(mutex_);
  if (!models) return models_;
  for (CatalogModel& model : fetched) {
    model.fetched = true;
    if (std::ranges::find(*models, model.name, &CatalogModel::name) == models->end()) {
      models->push_back(std::move(model));
    }
  }
  for (CatalogModel& model : *models) model.arguments = all_;
  for (const CatalogModel& preset : presets_) {
    auto found = std::ranges::find(*models, preset.name, &CatalogModel::name);
    if (found == models->end() && preset.path.empty()) continue;  // it may still come
    if (found == models->end()) found = models->insert(found, preset);
    found->aliases = preset.aliases;
    found->arguments = preset.arguments;
    found->at_start = preset.at_start;
    if (!preset.path.empty()) SetFile(preset.path, *found);
  }
  models_ = *std::move(models);
  return models_;
}

std::optional<CatalogModel> ModelCatalog::Find(std::string_view name) {
  const auto find = [name](const std::vector<CatalogModel>& models) -> std::optional<CatalogModel> {
    const std::array forms{name, WithoutEnd(name, kTag), WithoutEnd(name, kSuffix)};
    // A name comes before all aliases: what one means must not change with what else is there.
    for (const std::string_view form : forms) {
      const auto named = std::ranges::find(models, form, &CatalogModel::name);
      if (named != models.end()) return *named;
    }
    for (const std::string_view form : forms) {
      for (const CatalogModel& model : models) {
        if (std::ranges::find(model.aliases, form) != model.aliases.end()) return model;
      }
    }
    return std::nullopt;
  };
  {
    const MutexLock lock(mutex_);
    if (auto found = find(models_)) return found;
  }
  return find(List());
}

}  // namespace lockstep
