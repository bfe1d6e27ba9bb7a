// All processes are started and reaped by one thread, since a child dies with the thread that
// started it, and so that no two decisions about memory are made at once. Loads are begun in the
// order in which they were first asked for, so that a large model is not overtaken for ever by
// small ones.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <utility>

#include "core/base/quoted.h"
#include "server/models/file_description.h"
#include "server/models/supervisor.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

// A process that ends by itself is started again at the next request, and one that does so time and
// again after twice the time of before. One that has served for so long has begun anew.
constexpr milliseconds kFirstPause{1'000}, kLongestPause{60'000}, kGoodTime{60'000};

// `how` as waitpid has it. Who is killed has no time to say why.
std::string HowItEnded(int how, bool loaded) {
  const char* const when = loaded ? "" : " while it loaded";
  if (!WIFSIGNALED(how)) {
    return fmt::format("ended{} with exit code {}; the server's log says why", when,
                       WEXITSTATUS(how));
  }
  const int signal = WTERMSIG(how);
  return fmt::format("was killed by signal {}{}{}", signal, when,
                     signal == SIGKILL ? ", as the kernel does when memory runs out" : "");
}

// A file that takes more memory than there is must not end the thread.
Result<size_t> NeedOf(const SupervisorOptions& options, const CatalogModel& model) {
  try {
    return options.need(model);
  } catch (const std::exception&) {
    return tl::unexpected(CaughtError());
  }
}

}  // namespace

void Supervisor::Run() {
  for (;;) {
    std::vector<pollfd> fds{{wake_, POLLIN, 0}};
    std::vector<std::string> names{""};
    int wait = 0;
    {
      const MutexLock lock(mutex_);
      for (const auto& [name, entry] : entries_) {
        if (entry.ready < 0) continue;
        fds.push_back({entry.ready, POLLIN, 0});
        names.push_back(name);
      }
      if (stopping_ && names.size() == 1) {
        stopped_ = true;
        changed_.NotifyAll();
        return;
      }
      wait = TimeToWait();
    }
    poll(fds.data(), fds.size(), wait);
    eventfd_t count = 0;
    eventfd_read(wake_, &count);
    {
      const MutexLock lock(mutex_);
      for (size_t i = 1; i < fds.size(); ++i) {
        if (fds[i].revents == 0) continue;
        Entry& entry = entries_[names[i]];
        char byte = 0;
        const ssize_t n = read(entry.ready, &byte, 1);
        if (n > 0) OnReady(entry);
        if (n == 0) OnEnd(entry);
      }
    }
    Step();
    StartNext();
  }
}

// Until the next time that something is to be done by itself, in milliseconds.
int Supervisor::TimeToWait() const {
  const auto now = Clock::now();
  auto next = now + std::chrono::seconds(60);
  for (const auto& [name, entry] : entries_) {
    next = std::min({next, entry.kill_at, entry.status.expires.value_or(next)});
    if (entry.ticket != 0) next = std::min(next, now + milliseconds(200));  // may become possible
  }
  if (stopping_) next = std::min(next, kill_at_);
  return static_cast<int>(
      std::max(milliseconds(0), std::chrono::ceil<milliseconds>(next - now)).count());
}

// What time and the end of uses bring about.
void Supervisor::Step() {
  const MutexLock lock(mutex_);
  const auto now = Clock::now();
  for (auto& [name, entry] : entries_) {
    ModelStatus& status = entry.status;
    const bool idle = status.uses == 0;
    const bool expired = idle && entry.waiting == 0 && status.expires && now >= *status.expires;
    if (status.state == ModelState::kLoaded && (stopping_ || (entry.leaving && idle) || expired)) {
      End(entry);
    }
    if (status.state == ModelState::kLoading && (stopping_ || entry.leaving)) End(entry);
    if (status.state == ModelState::kUnloading && now >= std::min(entry.kill_at, kill_at_)) {
      kill(status.pid, SIGKILL);
      killed_ = true;
      entry.kill_at = Clock::time_point::max();
    }
    // Whoever wanted it has gone.
    if (entry.ticket != 0 && entry.waiting == 0 && !entry.kept) entry.ticket = 0;
  }
}

Supervisor::Entry* Supervisor::NextWanted() {
  Entry* next = nullptr;
  for (auto& [name, entry] : entries_) {
    // One that is to be loaded anew once it has ended holds up no other one.
    if (entry.ticket == 0 || entry.status.state != ModelState::kUnloaded) continue;
    if (next == nullptr || entry.ticket < next->ticket) next = &entry;
  }
  return next;
}

void Supervisor::StartNext() {
  for (;;) {
    CatalogModel model;
    {
      const MutexLock lock(mutex_);
      Entry* const next = stopping_ ? nullptr : NextWanted();
      if (next == nullptr) return;
      model = next->model;
    }
    const Result<size_t> need = NeedOf(options_, model);  // opens files: without the lock
    const MutexLock lock(mutex_);
    Entry& entry = entries_[model.name];
    if (entry.ticket == 0 || stopping_) continue;
    if (!need) {
      FailLoad(entry, need.error());
      continue;
    }
    if (!MakeRoom(entry, *need)) return;
    const Result<ChildProcess> child = options_.start(model, *need);
    if (!child) {
      FailLoad(entry, child.error());
      continue;
    }
    entry.ticket = 0;
    entry.leaving = false;
    entry.ready = child->ready;
    ModelStatus& status = entry.status;
    status.state = ModelState::kLoading;
    status.pid = child->pid;
    status.port = child->port;
    status.memory = *need;
    status.expires.reset();
    options_.tell(model, "is loading", false);
  }
}

bool Supervisor::MakeRoom(const Entry& wanted, size_t need) {
  size_t used = 0, children = 0, going = 0, ending = 0, idle = 0, idle_children = 0;
  Entry *least = nullptr, *least_in_use = nullptr;
  for (auto& [name, entry] : entries_) {
    const ModelStatus& status = entry.status;
    if (status.state == ModelState::kUnloaded) continue;
    used += status.memory;
    ++children;
    if (status.state == ModelState::kUnloading || entry.leaving) {
      going += status.memory;
      ++ending;
    } else if (status.state == ModelState::kLoaded) {
      const bool in_use = status.uses > 0 || entry.waiting > 0;
      Entry*& oldest = in_use ? least_in_use : least;
      if (oldest == nullptr || entry.last_used < oldest->last_used) oldest = &entry;
      if (in_use) continue;
      idle += status.memory;
      ++idle_children;
    }
  }
  const auto fits = [&](size_t memory_given, size_t children_given) {
    return used - memory_given + need <= options_.memory &&
           children - children_given < options_.most_loaded;
  };
  if (fits(0, 0)) return true;
  if (fits(going, ending)) return false;  // it is being made already
  if (least != nullptr && fits(going + idle, ending + idle_children)) {
    options_.tell(least->model, "ends, since another one needs its memory", false);
    End(*least);
  } else if (least_in_use != nullptr && ending == 0 &&
             Clock::now() - wanted.wanted_since >= options_.patience) {
    options_.tell(least_in_use->model, "ends after its last requests, since others wait", false);
    least_in_use->leaving = true;
  }
  return false;
}

void Supervisor::FailLoad(Entry& entry, Error error, const std::string& what) {
  options_.tell(entry.model, what + ": " + error.message, true);
  entry.ticket = 0;
  entry.kept = false;
  entry.error = WithoutFolder(std::move(error), entry.model.path);
  ++entry.attempts;
  ++entry.status.failures;
  entry.status.failed = true;
  changed_.NotifyAll();
}

void Supervisor::End(Entry& entry) {
  kill(entry.status.pid, SIGTERM);
  entry.status.state = ModelState::kUnloading;
  entry.kill_at = Clock::now() + options_.end_timeout;
  entry.kept = false;
}

void Supervisor::OnReady(Entry& entry) {
  if (entry.status.state != ModelState::kLoading) return;
  entry.status.state = ModelState::kLoaded;
  entry.status.failed = false;
  ++entry.status.loads;
  ++entry.attempts;
  entry.error.reset();
  entry.kept = false;
  entry.loaded_at = entry.last_used = Clock::now();
  options_.tell(entry.model, "is loaded", false);
  changed_.NotifyAll();
}

void Supervisor::OnEnd(Entry& entry) {
  ModelStatus& status = entry.status;
  int how = 0;
  waitpid(status.pid, &how, 0);
  close(std::exchange(entry.ready, -1));
  const ModelState before = std::exchange(status.state, ModelState::kUnloaded);
  status.pid = -1;
  status.port = 0;
  status.memory = 0;
  status.expires.reset();
  entry.leaving = false;
  entry.kill_at = Clock::time_point::max();
  if (before == ModelState::kUnloading) {
    options_.tell(entry.model, "is unloaded", false);
    changed_.NotifyAll();
    return;
  }
  status.exit_code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
  const auto now = Clock::now();
  const bool loaded = before == ModelState::kLoaded;
  if (loaded && now - entry.loaded_at >= kGoodTime) entry.pause = milliseconds(0);
  // The first time a loaded one is started again at once.
  entry.not_before = now + (loaded ? entry.pause : std::max(entry.pause, kFirstPause));
  entry.pause = std::clamp(2 * entry.pause, kFirstPause, kLongestPause);
  FailLoad(entry,
           {ErrorKind::kUnavailable,
            fmt::format("the process of the model {} {}", Quoted(entry.model.name),
                        HowItEnded(how, loaded)),
            {},
            std::chrono::duration<double>(entry.not_before - now).count()},
           loaded ? "has ended" : "cannot be loaded");
}

}  // namespace lockstep
