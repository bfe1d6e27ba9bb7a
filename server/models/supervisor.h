// Keeps the processes of several models: starts one for the first request, ends the least recently
// used where memory is short, and starts again what died. One thread starts and reaps them all; the
// methods may be called from any thread.
//
//   kUnloaded --a request--> kLoading --ready--> kLoaded --no use, or not wanted--> kUnloading
//       ^------------------- the process has ended -----------------------------------/
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "server/models/child_process.h"
#include "server/models/model_catalog.h"

namespace lockstep {

enum class ModelState { kUnloaded, kLoading, kLoaded, kUnloading };

struct SupervisorOptions {
  size_t memory = 0;       // bytes for all children together
  size_t most_loaded = 4;  // children at once
  size_t most_used = 80;   // requests that one model has at a time, waiting ones included
  std::chrono::milliseconds load_timeout{600'000};  // that a request waits for its model
  // A model that is in use goes on to take requests for so long while another one waits for its
  // memory; then it ends with those that it has, so that both get their turns.
  std::chrono::milliseconds patience{10'000};
  std::chrono::milliseconds end_timeout{30'000};  // from SIGTERM to SIGKILL
  // What the memory of a model must be, in bytes; an error where it can never be had. May block.
  std::function<Result<size_t>(const CatalogModel& model)> need;
  // Starts its process, which then plans with so many bytes. Called on the supervisor's thread.
  std::function<Result<ChildProcess>(const CatalogModel& model, size_t memory)> start;
  // For the log: what happened to which model.
  std::function<void(const CatalogModel& model, const std::string& what, bool wrong)> tell =
      [](const CatalogModel&, const std::string&, bool) {};
};

// What is known of a model that was asked for since the start.
struct ModelStatus {
  ModelState state = ModelState::kUnloaded;
  pid_t pid = -1;
  int port = 0;
  size_t memory = 0;                             // that is planned for it; 0 while unloaded
  size_t uses = 0;                               // requests that it has
  size_t requests = 0, loads = 0, failures = 0;  // since the start
  size_t missed_metrics = 0;                     // times that its own did not come in time
  bool failed = false;                           // the last process ended by itself
  int exit_code = 0;  // of it; 128 and the signal's number if that killed it
  std::optional<std::chrono::steady_clock::time_point> expires;  // unless it is used before
};

class Supervisor {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Supervisor(SupervisorOptions options);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The model stays loaded for as long as it lives. Movable; must not outlive the supervisor.
  class Lease {
   public:
    Lease(Supervisor* owner, std::string name, int port)
        : owner_(owner), name_(std::move(name)), port_(port) {}
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    int port() const { return port_; }
    // How long the model is to stay after its last use; negative: until memory is short.
    void KeepAlive(std::chrono::milliseconds time) { keep_alive_ = time; }

   private:
    Supervisor* owner_;
    std::string name_;
    int port_;
    std::optional<std::chrono::milliseconds> keep_alive_;
  };

  // Waits until the model is loaded, at most until `deadline`, and no longer than there is a
  // client. Errors are those of loading, kUnavailable (it takes too long, it failed a moment ago,
  // or this process stops), kOverloaded and kCancelled.
  [[nodiscard]] Result<Lease> Acquire(const CatalogModel& model, Clock::time_point deadline,
                                      const std::function<bool()>& gone);
  // Has it loaded, and does not wait.
  [[nodiscard]] Status Load(const CatalogModel& model);
  // Has it end once the requests that it has are answered. False if it is not loaded.
  bool Unload(const std::string& name);

  // The model's process did not say in time what it counts.
  void MissMetrics(const std::string& name);

  ModelStatus StatusOf(const std::string& name) const;
  // Whether its process takes requests, or will: one that is ending would have to be started anew.
  bool IsThere(const std::string& name) const;
  std::map<std::string, ModelStatus> All() const;

  // Refuses who waits, sends SIGTERM to all, and SIGKILL to those that go on after `timeout`.
  // True if none was killed. Further calls do nothing.
  bool Stop(std::chrono::milliseconds timeout);

 private:
  struct Entry {
    CatalogModel model;
    ModelStatus status;
    size_t waiting = 0;   // requests that wait for it
    bool kept = false;    // wanted though no request waits
    uint64_t ticket = 0;  // its place among those that are to be loaded; 0: it is none
    Clock::time_point wanted_since{};
    bool leaving = false;  // takes no more requests, and ends when it has none
    int ready = -1;
    Clock::time_point last_used{}, loaded_at{}, kill_at = Clock::time_point::max();
    size_t attempts = 0;                 // loads that have ended, well or not
    std::optional<Error> error;          // of the last one
    std::chrono::milliseconds pause{0};  // before the next start
    Clock::time_point not_before{};
  };

  void Run();
  int TimeToWait() const REQUIRES(mutex_);
  void Step() EXCLUDES(mutex_);
  void StartNext() EXCLUDES(mutex_);
  Entry* NextWanted() REQUIRES(mutex_);
  // Whether there is room for it now; if not, makes some, or waits until others end.
  bool MakeRoom(const Entry& wanted, size_t need) REQUIRES(mutex_);
  void FailLoad(Entry& entry, Error error, const std::string& what = "cannot be loaded")
      REQUIRES(mutex_);
  void End(Entry& entry) REQUIRES(mutex_);
  void OnReady(Entry& entry) REQUIRES(mutex_);
  void OnEnd(Entry& entry) REQUIRES(mutex_);
  void Want(Entry& entry) REQUIRES(mutex_);
  Status MayLoad(const Entry& entry) const REQUIRES(mutex_);
  void Release(const std::string& name, std::optional<std::chrono::milliseconds> keep_alive);
  void Wake();

  const SupervisorOptions options_;
  int wake_ = -1;  // an eventfd
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Entry> entries_ GUARDED_BY(mutex_);
  uint64_t tickets_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;  // all children have ended
  bool killed_ GUARDED_BY(mutex_) = false;
  Clock::time_point kill_at_ GUARDED_BY(mutex_) = Clock::time_point::max();
  std::thread thread_;
};

}  // namespace lockstep
