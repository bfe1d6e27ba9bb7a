// Events are lists of fields in vLLM's order, as msgspec writes a struct that is array_like with
// tag=True, so that a picker that was made for vLLM reads them:
//
//   BlockStored       tag, block_hashes, parent_block_hash, token_ids, block_size, lora_id, medium,
//                     lora_name, extra_keys: null, or a list or null for each block
//   BlockRemoved      tag, block_hashes, medium
//   AllBlocksCleared  tag
//
// The medium is null, which readers take for the one that counts whole: "CPU" is where a GPU's
// blocks are moved to, and counts for less. Tokens, block and name of the model are all that the
// picker hashes, beside the texts among the extra keys: its own salt of a request is the cache_salt
// as it stands.
#include "server/events/kv_event.h"

#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr uint64_t kTopBit = uint64_t{1} << 63;

// A scope is what ApiKeys::ScopeOf says of the key, and behind a NUL the request's salt. The former
// names blocks in archives, so that a digest of it stands for it here.
Json ExtraKeys(std::string_view scope, bool several_keys) {
  Json keys = Json::array();
  const size_t end = scope.find('\0');
  if (end != scope.npos) keys.push_back(std::string(scope.substr(end + 1)));
  if (const std::string_view key = scope.substr(0, end); several_keys && !key.empty()) {
    Digest digest;
    digest.Add("kv events");
    digest.Add(key);
    keys.push_back(Hex(digest.Bytes()));
  }
  return keys;
}

// The first of the events and those that follow it in its text.
std::span<const KvEvent> OneText(std::span<const KvEvent> events) {
  size_t n = 1;
  while (n < events.size() && events[n].kind == KvEvent::Kind::kStored &&
         events[n].parent == events[n - 1].hash) {
    ++n;
  }
  return events.first(n);
}

Json Stored(std::span<const KvEvent> blocks, bool several_keys) {
  Json hashes = Json::array(), tokens = Json::array();
  for (const KvEvent& block : blocks) {
    hashes.push_back(block.hash);
    for (const int32_t token : block.tokens) tokens.push_back(token);
  }
  const KvEvent& first = blocks[0];
  const Json parent = first.parent == 0 ? Json() : Json(first.parent);
  Json extra;  // null
  if (Json keys = ExtraKeys(first.scope, several_keys); !keys.empty()) {
    std::vector<Json> of_blocks(blocks.size());
    of_blocks[0] = std::move(keys);
    extra = std::move(of_blocks);
  }
  return Json::array({"BlockStored", std::move(hashes), parent, std::move(tokens),
                      PrefixStore::kBlock, nullptr, nullptr, nullptr, std::move(extra)});
}

std::span<const KvEvent> Removed(std::span<const KvEvent> events) {
  size_t n = 1;
  while (n < events.size() && events[n].kind == KvEvent::Kind::kRemoved) ++n;
  return events.first(n);
}

}  // namespace

uint64_t KvEventHash(const BlockKey& key) {
  uint64_t hash = 0;
  for (size_t i = key.size() - 8; i < key.size(); ++i) hash = hash << 8 | key[i];
  return hash | kTopBit;
}

std::string KvEventBatch(double seconds, std::span<const KvEvent> events, bool several_keys) {
  Json list = Json::array();
  while (!events.empty()) {
    std::span<const KvEvent> together = events.first(1);
    switch (events[0].kind) {
      case KvEvent::Kind::kStored:
        together = OneText(events);
        list.push_back(Stored(together, several_keys));
        break;
      case KvEvent::Kind::kRemoved: {
        together = Removed(events);
        Json hashes = Json::array();
        for (const KvEvent& event : together) hashes.push_back(event.hash);
        list.push_back(Json::array({"BlockRemoved", std::move(hashes), nullptr}));
        break;
      }
      case KvEvent::Kind::kCleared:
        list.push_back(Json::array({"AllBlocksCleared"}));
        break;
    }
    events = events.subspan(together.size());
  }
  std::string bytes;
  Json::to_msgpack(Json::array({seconds, std::move(list), 0}), bytes);
  return bytes;
}

std::string KvEventNumber(uint64_t number) {
  std::string frame(8, '\0');
  for (size_t i = 0; i < 8; ++i) frame[i] = static_cast<char>(number >> (8 * (7 - i)));
  return frame;
}

}  // namespace lockstep
