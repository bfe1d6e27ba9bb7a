// All sessions are made at the start and none ever after: their caches reserve address space, which
// is what fails where a machine is too small, and that must be known before the first client comes.
// A lease gives its session back however it ends, and the session's memory goes back to the system
// outside of the lock.
#include "core/engine/session_pool.h"

#include <fmt/format.h>

#include <utility>

namespace lockstep {

SessionLease::SessionLease(SessionPool* pool, InferenceSession* session, std::string id)
    : pool_(pool), session_(session), id_(std::move(id)) {}

SessionLease::SessionLease(SessionLease&& other) noexcept
    : pool_(other.pool_),
      session_(std::exchange(other.session_, nullptr)),
      id_(std::move(other.id_)) {}

SessionLease& SessionLease::operator=(SessionLease&& other) noexcept {
  // Swapped, so that what was held is given back here, by the temporary's end.
  SessionLease old(std::move(other));
  std::swap(pool_, old.pool_);
  std::swap(session_, old.session_);
  std::swap(id_, old.id_);
  return *this;
}

SessionLease::~SessionLease() {
  if (session_ != nullptr) pool_->Return(session_, id_);
}

Result<std::unique_ptr<SessionPool>> SessionPool::Create(const ModelConfig& config,
                                                         const Tokenizer& tokenizer,
                                                         size_t sessions, size_t context,
                                                         KvType kv_type) {
  std::vector<std::unique_ptr<InferenceSession>> made;
  for (size_t i = 0; i < sessions; ++i) {
    TRY(auto session, InferenceSession::Create(config, tokenizer, context, kv_type));
    made.push_back(std::make_unique<InferenceSession>(std::move(session)));
  }
  return std::unique_ptr<SessionPool>(new SessionPool(std::move(made)));
}

SessionPool::SessionPool(std::vector<std::unique_ptr<InferenceSession>> sessions)
    : sessions_(std::move(sessions)) {
  for (const auto& session : sessions_) free_.push_back(session.get());
}

Result<SessionLease> SessionPool::Acquire(std::string_view request_id) {
  std::string id(request_id);
  const MutexLock lock(mutex_);
  if (leased_.contains(id)) {
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("request id '{}' is in use; wait for that request or choose another id", id),
        "id");
  }
  if (free_.empty()) {
    return Fail(ErrorKind::kOverloaded,
                fmt::format("all {} sessions are in use; try again later", sessions_.size()));
  }
  InferenceSession* session = free_.back();
  leased_.emplace(id, session);
  free_.pop_back();
  return SessionLease(this, session, std::move(id));
}

void SessionPool::Return(InferenceSession* session, const std::string& id) {
  session->Reset();  // outside the lock: gives memory back to the system
  const MutexLock lock(mutex_);
  leased_.erase(id);
  free_.push_back(session);
}

size_t SessionPool::size() const { return sessions_.size(); }

size_t SessionPool::available() const {
  const MutexLock lock(mutex_);
  return free_.size();
}

size_t SessionPool::context() const { return sessions_.empty() ? 0 : sessions_.front()->context(); }

size_t SessionPool::kv_bytes() const {
  return sessions_.empty() ? 0 : sessions_.size() * sessions_.front()->kv().reserved_bytes();
}

}  // namespace lockstep
