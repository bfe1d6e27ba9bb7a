// The last answers of /v1/responses, for requests that name them by their ids instead of sending
// them again. They are bounded in bytes, and those not used for longest go first. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/lru_cache.h"
#include "core/base/memory_budget.h"
#include "core/base/status.h"
#include "server/json/json_text.h"

namespace lockstep {

class ResponseStore {
 public:
  // Bytes, and number, of responses, and as many again of items.
  static constexpr size_t kMaxBytes = size_t{16} << 20, kMaxEntries = 4096;
  // What is kept takes of the budget as long as half of it is free. It must outlive the store; null
  // is none.
  explicit ResponseStore(MemoryBudget* budget = nullptr) : budget_(budget) {}

  // What a response adds to its conversation: the items of its request and of its answer. `owner`
  // is who may name it, and `previous` the id of the response that it follows, empty if none.
  void Put(const std::string& owner, const std::string& id, const std::string& previous,
           const Json& items);
  // All items of the conversation that ends with the response, in their order. kInvalidArgument
  // where one of its responses is not there.
  [[nodiscard]] Result<Json> Conversation(const std::string& owner, const std::string& id);
  // The item of an answer that has the id. kInvalidArgument where it is not there.
  [[nodiscard]] Result<Json> Item(const std::string& owner, const std::string& id);

 private:
  // Of a response, or of an item alone.
  struct Entry {
    std::string previous, json;
    MemoryBudget::Share memory;
  };
  using Entries = LruCache<std::string, std::shared_ptr<const Entry>>;

  void Keep(const std::string& key, std::string previous, const Json& json, Entries* entries);

  MemoryBudget* const budget_;
  Entries responses_{kMaxEntries, kMaxBytes}, items_{kMaxEntries, kMaxBytes};
};

}  // namespace lockstep
