// What a picker of endpoints is told of the prefix cache, and its bytes: the messages of vLLM's
// vllm/distributed/kv_events.py, which msgspec writes as MessagePack arrays. llm-d's picker and its
// older kv-cache-manager read these; a map instead of the inner arrays, as vLLM's newest version
// has, the older one does not. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "core/engine/prefix_observer.h"
#include "core/engine/prefix_store.h"

namespace lockstep {

struct KvEvent {
  enum class Kind { kStored, kRemoved, kCleared };
  Kind kind = Kind::kCleared;
  uint64_t hash = 0;    // of the block that came or went
  uint64_t parent = 0;  // of the one before it; 0: there is none
  std::array<int32_t, PrefixStore::kBlock> tokens{};
  std::string scope;  // of a block without a parent, as in Job
};

// A block's name as the number that it has in events: never 0, which readers take for no block, and
// never less than 2^32, which they would read as another type.
uint64_t KvEventHash(const BlockKey& key);

// The batch [seconds since 1970, events, rank 0]. Blocks that follow each other in a text become
// one BlockStored. The salt of a request, and with several_keys what tells its API key from others,
// stand in the first block's extra keys, where vLLM has its salt.
std::string KvEventBatch(double seconds, std::span<const KvEvent> events, bool several_keys);

// A batch's number as a frame: eight bytes, the highest first.
std::string KvEventNumber(uint64_t number);

}  // namespace lockstep
