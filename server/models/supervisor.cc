// What requests see of it: they wait in Acquire on their own threads, and say what they want by a
// ticket. What becomes of that is supervisor_thread.cc's.
#include "server/models/supervisor.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/quoted.h"
#include "core/engine/active_job.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{50};  // how soon a request that waits sees that its client has gone

double Seconds(milliseconds time) { return static_cast<double>(time.count()) / 1000; }

}  // namespace

Supervisor::Lease::Lease(Lease&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      name_(std::move(other.name_)),
      port_(other.port_),
      keep_alive_(other.keep_alive_) {}

Supervisor::Lease::~Lease() {
  if (owner_ != nullptr) owner_->Release(name_, keep_alive_);
}

Supervisor::Supervisor(SupervisorOptions options)
    : options_(std::move(options)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  thread_ = std::thread([this] { Run(); });
}

Supervisor::~Supervisor() {
  Stop(milliseconds(0));
  close(wake_);
}

void Supervisor::Wake() {
  eventfd_write(wake_, 1);
  changed_.NotifyAll();
}

void Supervisor::Want(Entry& entry) {
  if (entry.ticket != 0) return;
  entry.ticket = ++tickets_;
  entry.wanted_since = Clock::now();
  Wake();
}

Status Supervisor::MayLoad(const Entry& entry) const {
  if (stopping_) return tl::unexpected(ShuttingDown());
  const auto left = std::chrono::ceil<milliseconds>(entry.not_before - Clock::now());
  if (left <= milliseconds(0)) return {};
  return tl::unexpected(
      Error{ErrorKind::kUnavailable,
            fmt::format("the process of the model {} has ended again and again; it is started "
                        "again in {:.0f} s, and the server's log says why it ended",
                        Quoted(entry.model.name), std::max(1.0, Seconds(left))),
            {},
            Seconds(left)});
}

Result<Supervisor::Lease> Supervisor::Acquire(const CatalogModel& model, Clock::time_point deadline,
                                              const std::function<bool()>& gone) {
  deadline = std::min(deadline, Clock::now() + options_.load_timeout);
  const MutexLock lock(mutex_);
  Entry& entry = entries_[model.name];
  if (entry.status.state == ModelState::kUnloaded) entry.model = model;
  if (entry.status.uses + entry.waiting >= options_.most_used) {
    return Fail(ErrorKind::kOverloaded,
                fmt::format("{} requests are being answered by the model {} or wait for it",
                            options_.most_used, Quoted(model.name)));
  }
  ++entry.waiting;
  struct Waiting {  // the lock is held wherever the function is left
    size_t& count;
    ~Waiting() { --count; }
  } const waiting{entry.waiting};
  const size_t attempts = entry.attempts;
  for (;;) {
    if (stopping_) return tl::unexpected(ShuttingDown());
    ModelStatus& status = entry.status;
    if (status.state == ModelState::kLoaded && !entry.leaving) {
      ++status.uses;
      ++status.requests;
      entry.last_used = Clock::now();
      status.expires.reset();
      return Lease(this, model.name, status.port);
    }
    if (status.state == ModelState::kUnloaded && entry.ticket == 0) {
      if (entry.attempts != attempts && entry.error) return tl::unexpected(*entry.error);
      TRY_OK(MayLoad(entry));
    }
    if (status.state != ModelState::kLoading) Want(entry);
    if (gone()) return Fail(ErrorKind::kCancelled, "the client has gone");
    const auto now = Clock::now();
    if (now >= deadline) {
      return Fail(ErrorKind::kUnavailable,
                  fmt::format("the model {} is still loading, or waits for memory that others use",
                              Quoted(model.name)));
    }
    changed_.WaitUntil(mutex_, std::min(deadline, now + kLook));
  }
}

void Supervisor::Release(const std::string& name, std::optional<milliseconds> keep_alive) {
  const MutexLock lock(mutex_);
  Entry& entry = entries_[name];
  --entry.status.uses;
  entry.last_used = Clock::now();
  if (keep_alive && *keep_alive >= milliseconds(0)) {
    entry.status.expires = entry.last_used + *keep_alive;
  }
  Wake();
}

Status Supervisor::Load(const CatalogModel& model) {
  const MutexLock lock(mutex_);
  Entry& entry = entries_[model.name];
  if (entry.status.state == ModelState::kUnloaded) entry.model = model;
  TRY_OK(MayLoad(entry));
  entry.kept = true;
  const bool there = entry.status.state == ModelState::kLoaded && !entry.leaving;
  if (!there && entry.status.state != ModelState::kLoading) Want(entry);
  return {};
}

bool Supervisor::Unload(const std::string& name) {
  const MutexLock lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return false;
  Entry& entry = found->second;
  const bool wanted = entry.ticket != 0;
  entry.kept = false;
  if (entry.status.state == ModelState::kUnloaded) return wanted;
  entry.leaving = true;
  Wake();
  return entry.status.state != ModelState::kUnloading || wanted;
}

void Supervisor::MissMetrics(const std::string& name) {
  const MutexLock lock(mutex_);
  if (const auto found = entries_.find(name); found != entries_.end()) {
    ++found->second.status.missed_metrics;
  }
}

ModelStatus Supervisor::StatusOf(const std::string& name) const {
  const MutexLock lock(mutex_);
  const auto found = entries_.find(name);
  return found == entries_.end() ? ModelStatus() : found->second.status;
}

bool Supervisor::IsThere(const std::string& name) const {
  const MutexLock lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return false;
  const Entry& entry = found->second;
  const ModelState state = entry.status.state;
  return !entry.leaving && (state == ModelState::kLoading || state == ModelState::kLoaded);
}

std::map<std::string, ModelStatus> Supervisor::All() const {
  const MutexLock lock(mutex_);
  std::map<std::string, ModelStatus> all;
  for (const auto& [name, entry] : entries_) all.emplace(name, entry.status);
  return all;
}

bool Supervisor::Stop(milliseconds timeout) {
  {
    const MutexLock lock(mutex_);
    if (!stopping_) kill_at_ = Clock::now() + timeout;
    stopping_ = true;
    Wake();
    while (!stopped_) changed_.Wait(mutex_);
  }
  if (thread_.joinable()) thread_.join();
  const MutexLock lock(mutex_);
  return !killed_;
}

}  // namespace lockstep
