// An archive of prefix blocks in a server that speaks Redis' protocol: Redis, Valkey and others. A
// block is a string under lockstep:prefix: and the digits of its key, which the server forgets by
// itself: a week after it was last used, or earlier where its own bound of memory and policy
// (maxmemory, allkeys-lru) say so. Threads as BlockArchive says; each of the two has a connection
// of its own, made when it is first needed and again after each failure.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "core/engine/block_archive.h"
#include "server/store/redis_url.h"

struct redisContext;
struct redisReply;

namespace lockstep {

class RedisArchive : public BlockArchive {
 public:
  // `value_bytes`: of a whole value; of longer ones one byte more is read.
  RedisArchive(RedisAddress address, size_t value_bytes);
  ~RedisArchive() override;

  [[nodiscard]] Status Get(std::span<const BlockKey> keys, Clock::time_point deadline,
                           const Take& take) override;
  [[nodiscard]] Result<size_t> Put(const BlockKey& key, std::span<const uint8_t> bytes) override;
  void Forget(const BlockKey& key) override;

 private:
  struct FreeContext {
    void operator()(redisContext* context) const;
  };
  struct FreeReply {
    void operator()(redisReply* reply) const;
  };
  using Connection = std::unique_ptr<redisContext, FreeContext>;
  using Reply = std::unique_ptr<redisReply, FreeReply>;

  // Makes sure that there is a connection, whose waits last until the deadline at most.
  Status Connect(Connection& connection, Clock::time_point deadline) const;
  // One command and its reply, which is no error. One that is ends the connection: where it leads
  // there may be a replica now that is only read, and the server to write to behind a new one.
  Result<Reply> Ask(Connection& connection, std::span<const std::string_view> command) const;
  Result<Reply> Read(Connection& connection) const;
  // Ends the connection, as what would come on it is not what is asked for next.
  tl::unexpected<Error> Broken(Connection& connection) const;
  tl::unexpected<Error> Failed(std::string_view why) const;

  const RedisAddress address_;
  const std::string end_;  // the last byte of a value that is read
  Connection reading_, writing_;
};

}  // namespace lockstep
