// A fixed set of sessions, leased to requests by id, that share the memory for keys and values:
// each has the address space of a whole context, and room in memory for as much of it as was
// reserved. Thread-safe; a lease is one thread's.
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

  // Whether the session may hold so many positions from now on. False, and nothing changed, if the
  // others leave too little memory. REQUIRES: at most the pool's context.
  bool Reserve(size_t positions);
  // Reserved so far, for no or more positions.
  bool has_room() const { return room_ > 0; }
  // Empties the session's cache, and leaves its memory to the others.
  void Rewind();

 private:
  friend class SessionPool;
  SessionLease(SessionPool* pool, InferenceSession* session, std::string id);
  SessionPool* pool_ = nullptr;
  InferenceSession* session_ = nullptr;
  std::string id_;
  size_t positions_ = 0, room_ = 0;  // reserved, and the bytes of that
};

struct SessionPoolOptions {
  size_t sessions = 1;
  size_t context = 0;  // positions of each
  KvType kv_type = KvType::kF16;
  size_t kv_bytes = 0;  // for the keys and values of all; 0: so that each has room for its context
  size_t batch = 512;   // positions that are appended to a session at once, at most
  size_t longest_draft = 0;                       // tokens that a session may guess in a step
  const KernelTable* kernels = &ScalarKernels();  // of what tokens are chosen by
};

class SessionPool {
 public:
  // Makes all sessions at once. The pool must outlive its leases. kInvalidArgument if not even one
  // whole context fits into kv_bytes: then a request could wait for ever.
  [[nodiscard]] static Result<std::unique_ptr<SessionPool>> Create(
      const ModelConfig& config, const Tokenizer& tokenizer, const SessionPoolOptions& options);

  // kOverloaded if all sessions are leased, kInvalidArgument if the id holds one already.
  [[nodiscard]] Result<SessionLease> Acquire(std::string_view request_id);
  size_t size() const;                           // sessions in all
  size_t available() const;                      // free now
  size_t context() const;                        // positions of each session
  size_t kv_bytes() const { return kv_bytes_; }  // for the keys and values of all
  size_t context_bytes() const { return cost_.Of(context()); }
  bool HasRoom(size_t positions) const;  // for one more session that holds so many

 private:
  friend class SessionLease;
  SessionPool(std::vector<std::unique_ptr<InferenceSession>> sessions, const KvCost& cost,
              size_t kv_bytes);
  void Return(InferenceSession* session, const std::string& id, size_t room);
  bool Take(size_t bytes);
  void GiveBack(size_t bytes);

  const std::vector<std::unique_ptr<InferenceSession>> sessions_;
  const KvCost cost_;
  const size_t kv_bytes_;
  mutable Mutex mutex_;
  size_t room_taken_ GUARDED_BY(mutex_) = 0;  // bytes, by all leases
  std::vector<InferenceSession*> free_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, InferenceSession*> leased_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
