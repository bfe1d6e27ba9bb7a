// Talks to Redis by hiredis, whose calls wait no longer than they are told. Blocks are asked for
// some at a time (pipelining), so that the way there and back is not waited for with each: one at
// first, since most texts are new and end there, then twice as many as before. With each block goes
// a sign that it was used.
//
//   GETRANGE key 0 n   a value of any size that somebody else has put there fills no memory;
//   EXPIRE key week    nothing is "", a block is never
//
// All keys are asked for whole, so that a reply that stays out ends the connection: what comes
// later on it would be taken for another one.
#include "server/store/redis_archive.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr size_t kMostAtOnce = 8;
constexpr char kWeek[] = "604800";  // seconds
// For a connection and for each reply, the network and a busy server included. After a deadline
// nobody waits for a fetch but its thread: rather than to connect again it waits for a moment.
constexpr std::chrono::milliseconds kPatience{2000}, kMoment{100};

timeval Until(BlockArchive::Clock::time_point deadline) {
  using std::chrono::microseconds;
  const auto left =
      std::chrono::duration_cast<microseconds>(std::clamp<BlockArchive::Clock::duration>(
          deadline - BlockArchive::Clock::now(), kMoment, kPatience));
  return {left.count() / 1'000'000, left.count() % 1'000'000};
}

std::string NameOf(const BlockKey& key) {
  return fmt::format("lockstep:prefix:{:02x}", fmt::join(key, ""));
}

std::span<const uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void Append(redisContext* context, std::span<const std::string_view> command) {
  std::vector<const char*> words;
  std::vector<size_t> sizes;
  for (const std::string_view word : command) {
    words.push_back(word.data());
    sizes.push_back(word.size());
  }
  redisAppendCommandArgv(context, static_cast<int>(words.size()), words.data(), sizes.data());
}

}  // namespace

void RedisArchive::FreeContext::operator()(redisContext* context) const { redisFree(context); }
void RedisArchive::FreeReply::operator()(redisReply* reply) const { freeReplyObject(reply); }

RedisArchive::RedisArchive(RedisAddress address, size_t value_bytes)
    : address_(std::move(address)), end_(std::to_string(value_bytes)) {}

RedisArchive::~RedisArchive() = default;

tl::unexpected<Error> RedisArchive::Failed(std::string_view why) const {
  return Fail(ErrorKind::kUnavailable,
              fmt::format("--prefix-store: {}: {}", address_.Text(), Quoted(why)));
}

tl::unexpected<Error> RedisArchive::Broken(Connection& connection) const {
  auto failure = Failed(connection->errstr[0] != '\0' ? connection->errstr : "no answer in time");
  connection = nullptr;
  return failure;
}

Result<RedisArchive::Reply> RedisArchive::Read(Connection& connection) const {
  void* reply = nullptr;
  if (redisGetReply(connection.get(), &reply) != REDIS_OK) return Broken(connection);
  return Reply(static_cast<redisReply*>(reply));
}

Result<RedisArchive::Reply> RedisArchive::Ask(Connection& connection,
                                              std::span<const std::string_view> command) const {
  Append(connection.get(), command);
  TRY(Reply reply, Read(connection));
  if (reply->type != REDIS_REPLY_ERROR) return reply;
  connection = nullptr;
  return Failed({reply->str, reply->len});
}

Status RedisArchive::Connect(Connection& connection, Clock::time_point deadline) const {
  if (connection != nullptr) {
    redisSetTimeout(connection.get(), Until(deadline));
    return {};
  }
  connection.reset(redisConnectWithTimeout(address_.host.c_str(), address_.port, Until(deadline)));
  if (connection == nullptr) return Failed("out of memory");
  if (connection->err != 0) return Broken(connection);
  redisSetTimeout(connection.get(), Until(deadline));
  std::vector<std::string_view> login = {"AUTH"};
  if (!address_.user.empty()) login.push_back(address_.user);
  login.push_back(address_.password);
  const std::string database = std::to_string(address_.database);
  const std::array<std::string_view, 2> select = {"SELECT", database};
  Result<Reply> done;
  if (!address_.password.empty()) done = Ask(connection, login);
  if (done && address_.database != 0) done = Ask(connection, select);
  if (done) return {};
  return tl::unexpected<Error>(std::move(done).error());
}

Status RedisArchive::Get(std::span<const BlockKey> keys, Clock::time_point deadline,
                         const Take& take) {
  TRY_OK(Connect(reading_, deadline));
  bool wanted = true;
  for (size_t at_once = 1; wanted && !keys.empty(); at_once = std::min(2 * at_once, kMostAtOnce)) {
    if (Clock::now() >= deadline) return {};
    redisSetTimeout(reading_.get(), Until(deadline));
    const auto some = keys.first(std::min(at_once, keys.size()));
    for (const BlockKey& key : some) {
      const std::string name = NameOf(key);
      const std::array<std::string_view, 4> get = {"GETRANGE", name, "0", end_};
      const std::array<std::string_view, 3> use = {"EXPIRE", name, kWeek};
      Append(reading_.get(), get);
      Append(reading_.get(), use);
    }
    for (size_t i = 0; i < some.size(); ++i) {
      TRY(Reply value, Read(reading_));
      TRY(const Reply used, Read(reading_));  // a replica that is only read refuses this one
      const std::string_view text(value->str, value->len);
      const bool other = value->type == REDIS_REPLY_ERROR && text.starts_with("WRONGTYPE");
      if (value->type == REDIS_REPLY_ERROR && !other) {
        reading_ = nullptr;  // it may ask for another password now
        return Failed(text);
      }
      // What is no string is damaged, as a string of no use is.
      const auto bytes = other ? std::span<const uint8_t>() : BytesOf(text);
      wanted = wanted && !text.empty() && take(bytes);
    }
    keys = keys.subspan(some.size());
  }
  return {};
}

Result<size_t> RedisArchive::Put(const BlockKey& key, std::span<const uint8_t> bytes) {
  TRY_OK(Connect(writing_, Clock::now() + kPatience));
  const std::string name = NameOf(key);
  const std::array<std::string_view, 2> exists = {"EXISTS", name};
  TRY(const Reply there, Ask(writing_, exists));
  if (there->type == REDIS_REPLY_INTEGER && there->integer != 0) return size_t{0};
  const std::string_view value(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::array<std::string_view, 5> set = {"SET", name, value, "EX", kWeek};
  TRY_OK(Ask(writing_, set));
  return bytes.size();
}

void RedisArchive::Forget(const BlockKey& key) {
  if (!Connect(reading_, Clock::now() + kPatience)) return;
  const std::string name = NameOf(key);
  const std::array<std::string_view, 2> del = {"DEL", name};
  (void)Ask(reading_, del);
}

}  // namespace lockstep
