// All sessions are made at the start and none ever after: their caches reserve address space, which
// is what fails where a machine is too small, and that must be known before the first client comes.
// A lease gives its session back however it ends, and the session's memory goes back to the system
// outside of the lock.
//
// The address spaces together may be larger than the memory: most requests use a part of their
// context. What they may touch is counted here, in bytes, before they touch it.
#include "core/engine/session_pool.h"

#include <fmt/format.h>

#include <utility>

namespace lockstep {

SessionLease::SessionLease(SessionPool* pool, InferenceSession* session, std::string id)
    : pool_(pool), session_(session), id_(std::move(id)) {}

SessionLease::SessionLease(SessionLease&& other) noexcept
    : pool_(other.pool_),
      session_(std::exchange(other.session_, nullptr)),
      id_(std::move(other.id_)),
      positions_(std::exchange(other.positions_, 0)),
      room_(std::exchange(other.room_, 0)) {}

SessionLease& SessionLease::operator=(SessionLease&& other) noexcept {
  // Swapped, so that what was held is given back here, by the temporary's end.
  SessionLease old(std::move(other));
  std::swap(pool_, old.pool_);
  std::swap(session_, old.session_);
  std::swap(id_, old.id_);
  std::swap(positions_, old.positions_);
  std::swap(room_, old.room_);
  return *this;
}

SessionLease::~SessionLease() {
  if (session_ != nullptr) pool_->Return(session_, id_, room_);
}

bool SessionLease::Reserve(size_t positions) {
  if (positions <= positions_) return true;
  const size_t room = pool_->cost_.Of(positions);
  if (room > room_ && !pool_->Take(room - room_)) return false;
  // What was reserved is whole blocks.
  positions_ = (positions + kAttentionBlock - 1) / kAttentionBlock * kAttentionBlock;
  room_ = room;
  return true;
}

void SessionLease::Rewind() {
  session_->Rewind();
  pool_->GiveBack(std::exchange(room_, 0));
  positions_ = 0;
}

Result<std::unique_ptr<SessionPool>> SessionPool::Create(const ModelConfig& config,
                                                         const Tokenizer& tokenizer,
                                                         const SessionPoolOptions& options) {
  const KvCost cost =
      InferenceSession::Cost(config, options.kv_type, options.batch, options.longest_draft);
  const size_t whole = cost.Of(options.context);
  const size_t kv_bytes = options.kv_bytes > 0 ? options.kv_bytes : options.sessions * whole;
  if (kv_bytes < whole) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("sessions: {} bytes for keys and values are less than the {} of one "
                            "context of {}",
                            kv_bytes, whole, options.context));
  }
  std::vector<std::unique_ptr<InferenceSession>> made;
  for (size_t i = 0; i < options.sessions; ++i) {
    TRY(auto session, InferenceSession::Create(config, tokenizer, options.context, options.kv_type,
                                               options.longest_draft, *options.kernels));
    made.push_back(std::make_unique<InferenceSession>(std::move(session)));
  }
  return std::unique_ptr<SessionPool>(new SessionPool(std::move(made), cost, kv_bytes));
}

SessionPool::SessionPool(std::vector<std::unique_ptr<InferenceSession>> sessions,
                         const KvCost& cost, size_t kv_bytes)
    : sessions_(std::move(sessions)), cost_(cost), kv_bytes_(kv_bytes) {
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

void SessionPool::Return(InferenceSession* session, const std::string& id, size_t room) {
  session->Reset();  // outside the lock: gives memory back to the system
  const MutexLock lock(mutex_);
  room_taken_ -= room;
  leased_.erase(id);
  free_.push_back(session);
}

bool SessionPool::Take(size_t bytes) {
  const MutexLock lock(mutex_);
  if (bytes > kv_bytes_ - room_taken_) return false;
  room_taken_ += bytes;
  return true;
}

void SessionPool::GiveBack(size_t bytes) {
  const MutexLock lock(mutex_);
  room_taken_ -= bytes;
}

bool SessionPool::HasRoom(size_t positions) const {
  const MutexLock lock(mutex_);
  return cost_.Of(positions) <= kv_bytes_ - room_taken_;
}

size_t SessionPool::size() const { return sessions_.size(); }

size_t SessionPool::available() const {
  const MutexLock lock(mutex_);
  return free_.size();
}

size_t SessionPool::context() const { return sessions_.empty() ? 0 : sessions_.front()->context(); }

}  // namespace lockstep
