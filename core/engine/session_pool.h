// A fixed set of sessions, leased to requests by id. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/engine/session.h"

namespace lockstep {

class SessionPool;

// Exclusive use of one session until destroyed; then the session is reset and free again.
class SessionLease {
 public:
  SessionLease() = default;
  SessionLease(SessionLease&& other) noexcept;
  SessionLease& operator=(SessionLease&& other) noexcept;
  ~SessionLease();
  explicit operator bool() const { return session_ != nullptr; }
  InferenceSession* operator->() const { return session_; }
  InferenceSession& operator*() const { return *session_; }

 private:
  friend class SessionPool;
  SessionLease(SessionPool* pool, InferenceSession* session, std::string id);
  SessionPool* pool_ = nullptr;
  InferenceSession* session_ = nullptr;
  std::string id_;
};

class SessionPool {
 public:
  // Makes all sessions at once. The pool must outlive its leases.
  [[nodiscard]] static Result<std::unique_ptr<SessionPool>> Create(const ModelConfig& config,
                                                                   const Tokenizer& tokenizer,
                                                                   size_t sessions, size_t context,
                                                                   KvType kv_type = KvType::kF16);

  // kOverloaded if all sessions are leased, kInvalidArgument if the id holds one already.
  [[nodiscard]] Result<SessionLease> Acquire(std::string_view request_id);
  size_t size() const;       // sessions in all
  size_t available() const;  // free now
  size_t context() const;    // positions of each session
  size_t kv_bytes() const;   // reserved for the keys and values of all

 private:
  friend class SessionLease;
  explicit SessionPool(std::vector<std::unique_ptr<InferenceSession>> sessions);
  void Return(InferenceSession* session, const std::string& id);

  const std::vector<std::unique_ptr<InferenceSession>> sessions_;
  mutable Mutex mutex_;
  std::vector<InferenceSession*> free_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, InferenceSession*> leased_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
