// Who must go where connections, descriptors or memory for requests run out.
#include <chrono>
#include <string>

#include "server/http/poller.h"

namespace lockstep {

// Nobody is served by those who idle or drip a head, and by those who linger nobody any more: they
// go first, without a word. A body that comes in slowly may be an honest one on a bad line: its
// client is told to try again. Who has come a moment ago only seems to idle, for the request is on
// its way: in a crowd each newcomer would otherwise end the one before it, a health check say.
Poller::Room Poller::MakeRoom() {
  if (EndOne(Phase::kIdle, Phase::kHead, kFresh) || EndOne(Phase::kLinger, Phase::kLinger)) {
    return Room::kNow;
  }
  if (DropABody(0, "the server has too many slow requests")) return Room::kSoon;
  return EndOne(Phase::kIdle, Phase::kHead) || EndOne(Phase::kFlush, Phase::kFlush) ? Room::kNow
                                                                                    : Room::kNone;
}

bool Poller::EndOne(Phase first, Phase last, std::chrono::milliseconds at_least) {
  const auto latest = Clock::now() - at_least;
  for (const auto& [deadline, socket] : waits_) {
    const auto held = held_.find(socket);
    if (held == held_.end() || held->second.phase < first || held->second.phase > last) continue;
    if (held->second.since > latest) continue;
    Release(held->second);
    return true;
  }
  return false;
}

bool Poller::RefuseIfTooLarge(Held& held) {
  const RequestReader& reader = held.connection->reader;
  const size_t most = options_.memory->capacity();
  if (reader.state() != RequestReader::State::kBody || reader.bytes_when_whole() <= most) {
    return false;
  }
  Refuse(held, 413,
         "the body takes more memory than all requests together may, " + std::to_string(most) +
             " bytes; --request-memory of the server raises the limit");
  return true;
}

// The slowest is the one with the fewest bytes a second. Each has a small request's worth and a
// moment to its credit, so that one which has only just begun is not taken for slow.
bool Poller::DropABody(size_t at_least, const char* message) {
  Held* slowest = nullptr;
  double least = 0;
  const auto now = Clock::now();
  for (auto& [socket, held] : held_) {
    const size_t bytes = held.phase == Phase::kBody ? held.connection->reader.bytes() : 0;
    if (held.phase != Phase::kBody || bytes < at_least) continue;
    const std::chrono::duration<double> age = now - held.since + kFresh;
    const double rate = static_cast<double>(bytes + kSmallRequest) / age.count();
    if (slowest != nullptr && rate >= least) continue;
    slowest = &held;
    least = rate;
  }
  if (slowest != nullptr) Refuse(*slowest, 503, message);
  return slowest != nullptr;
}

}  // namespace lockstep
