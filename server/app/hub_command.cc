// The folder knows all: there is no list of models beside it, so that what another program fetched
// or removed is seen.
#include "server/app/hub_command.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "core/base/quoted.h"
#include "server/app/logging.h"
#include "server/app/options.h"
#include "server/app/progress.h"
#include "server/hub/hub.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLineEvery{10};
constexpr int kMayPass = 1, kMustChange = 2;

int ExitCodeOf(const Error& error) {
  return error.kind == ErrorKind::kUnavailable ? kMayPass : kMustChange;
}

// A connection that ends while it is written to must not end the program; a pipe that nobody reads
// still may, afterwards.
class BrokenPipesIgnored {
 public:
  BrokenPipesIgnored() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~BrokenPipesIgnored() { std::signal(SIGPIPE, before_); }
  BrokenPipesIgnored(const BrokenPipesIgnored&) = delete;
  BrokenPipesIgnored& operator=(const BrokenPipesIgnored&) = delete;

 private:
  void (*const before_)(int);
};

Result<HubSettings> Settings(bool offline) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
  TRY(HubSettings settings, ReadHubSettings([](const char* name) { return std::getenv(name); }));
  settings.offline = settings.offline || offline;
  return settings;
}

// Tells of one model that is fetched.
class Teller {
 public:
  Teller(std::string name, FetchVoice voice, std::atomic<bool>& fetching)
      : name_(std::move(name)), voice_(voice), fetching_(fetching), bar_("Fetching " + name_) {}
  ~Teller() { fetching_ = false; }
  Teller(const Teller&) = delete;
  Teller& operator=(const Teller&) = delete;

  DownloadObserver Observer() {
    return {[this](uint64_t done, uint64_t total) { Update(done, total); },
            [this](const std::string& sentence) { Note(sentence); }};
  }
  void Finished(const std::string& path) {
    bar_.Wipe();
    if (!fetching_) return;  // it was there
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    if (voice_ == FetchVoice::kLog) {
      Log(LogLevel::kInfo, "fetched", {{"model", name_}, {"path", path}, {"seconds", seconds}});
    } else {
      fmt::print(stderr, "Fetched {} in {:.1f} s.\n", name_, seconds);
    }
  }

 private:
  void Update(uint64_t done, uint64_t total) {
    const auto now = Clock::now();
    if (!fetching_.exchange(true)) {
      start_ = next_ = now;
      before_ = done;
      bar_.Start(done);
    }
    if (Progress::Shown()) return bar_.Update(done, total);
    if (now < next_) return;
    next_ = now + kLineEvery;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    if (voice_ == FetchVoice::kSentences) {
      fmt::print(stderr, "{}\n",
                 ProgressText("Fetching " + name_, "B", done, total, seconds, before_));
      return;
    }
    const auto megabytes = [](uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
    LogFields fields{{"model", name_}, {"mb", megabytes(done)}};
    if (total > 0) fields.emplace_back("of_mb", megabytes(total));
    if (seconds > 1) fields.emplace_back("mb_per_second", megabytes(done - before_) / seconds);
    Log(LogLevel::kInfo, "fetching", fields);
  }

  void Note(const std::string& sentence) {
    bar_.Wipe();
    if (voice_ == FetchVoice::kLog) return Log(LogLevel::kWarning, sentence);
    fmt::print(stderr, "{}\n", sentence);
  }

  const std::string name_;
  const FetchVoice voice_;
  std::atomic<bool>& fetching_;
  Progress bar_;
  uint64_t before_ = 0;
  Clock::time_point start_, next_;
};

enum class How { kFind, kPull };

Result<std::string> PathOfName(const std::string& text, const HubSettings& settings, How how,
                               FetchVoice voice, std::atomic<bool>& fetching) {
  TRY(const ModelName name, ParseModelName(text, settings.endpoint));
  const BrokenPipesIgnored ignored;
  Teller teller(Escaped(name.Text(), 200), voice, fetching);
  Hub hub(settings, {}, teller.Observer());
  TRY(std::string path, how == How::kFind ? hub.Find(name) : hub.Pull(name));
  teller.Finished(path);
  return path;
}

int Failed(const char* command, const Error& error) {
  fmt::print(stderr, "lockstep {}: {}\n", command, error.message);
  return ExitCodeOf(error);
}

std::string SizeText(uint64_t bytes) {
  const double size = static_cast<double>(bytes);
  return size < 1e9 ? fmt::format("{:.0f} MB", size / 1e6) : fmt::format("{:.1f} GB", size / 1e9);
}

std::string NameOf(const CachedModel& model) {
  return Escaped(model.repo.empty() ? model.quant : model.repo + ":" + model.quant, 500);
}

}  // namespace

Status FetchModels(Options& options, FetchVoice voice, std::atomic<bool>& fetching) {
  std::vector<std::string*> models{&options.model, &options.embedding_model, &options.draft_model};
  if (options.command == Command::kInspect) models = {&options.inspect_file};
  if (options.command == Command::kBench) models = {&options.bench.model};
  if (options.command == Command::kPerplexity) models = {&options.perplexity.model};
  std::optional<HubSettings> settings;
  for (std::string* const model : models) {
    if (!IsModelName(*model)) continue;
    if (!settings) {
      TRY(settings, Settings(options.hub.offline));
    }
    TRY(*model, PathOfName(*model, *settings, How::kFind, voice, fetching));
  }
  return {};
}

int FetchModelsFor(const char* command, Options& options) {
  std::atomic<bool> fetching = false;
  const Status done = FetchModels(options, FetchVoice::kSentences, fetching);
  return done ? 0 : Failed(command, done.error());
}

std::string OwnCacheFolder() {
  const auto settings = Settings(/*offline=*/true);
  return settings ? settings->own_cache : std::string();
}

std::vector<FetchedModel> ListFetched(bool offline) {
  std::vector<FetchedModel> all;
  const auto settings = Settings(offline);
  if (!settings) return all;
  for (const CachedModel& model : Hub(*settings, {}, {}).List()) {
    if (model.paths.empty() || !IsModelFile(model.paths[0])) continue;
    struct stat about {};
    const bool there = stat(model.paths[0].c_str(), &about) == 0;
    all.push_back({NameOf(model), model.paths[0], model.bytes, there ? about.st_mtime : 0});
  }
  return all;
}

int RunPull(const std::vector<std::string>& names, bool offline) {
  const auto settings = Settings(offline);
  if (!settings) return Failed("pull", settings.error());
  for (const std::string& name : names) {
    std::atomic<bool> fetching = false;
    const auto path = PathOfName(name, *settings, How::kPull, FetchVoice::kSentences, fetching);
    if (!path) return Failed("pull", path.error());
    fmt::print("{}\n", *path);
  }
  return 0;
}

int RunList() {
  const auto settings = Settings(false);
  if (!settings) return Failed("list", settings.error());
  const std::vector<CachedModel> models = Hub(*settings, {}, {}).List();
  if (models.empty()) {
    fmt::print(stderr, "There are no models in {}; `lockstep pull USER/REPO` fetches one.\n",
               settings->cache);
  }
  size_t width = 0;
  for (const CachedModel& model : models) width = std::max(width, NameOf(model).size());
  for (const CachedModel& model : models) {
    fmt::print("{:<{}}  {:>8}\n", NameOf(model), width, SizeText(model.bytes));
  }
  return 0;
}

int RunRemove(const std::vector<std::string>& names) {
  const auto settings = Settings(false);
  if (!settings) return Failed("rm", settings.error());
  const Hub hub(*settings, {}, {});
  for (const std::string& text : names) {
    const auto name = ParseModelName(text, settings->endpoint);
    if (!name) return Failed("rm", name.error());
    const auto freed = hub.Remove(*name);
    if (!freed) return Failed("rm", freed.error());
    fmt::print("{} is removed: {}\n", Escaped(name->Text(), 500), SizeText(*freed));
  }
  return 0;
}

}  // namespace lockstep
