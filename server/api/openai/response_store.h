// The last answers of /v1/responses, for requests that name them by their ids instead of sending
// them again, or that ask for them. They are bounded in bytes, and those not used for longest go
// first. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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

  // `owner` is who may name the response and its items, `previous` the id of the response that it
  // follows, empty if none, `input` the items of its request, which are given ids where they have
  // none. Those of its answer are its "output".
  void Put(const std::string& owner, const std::string& id, const std::string& previous, Json input,
           const Json& response);
  // All items of the conversation that ends with the response, in their order. kInvalidArgument
  // where one of its responses is not there.
  [[nodiscard]] Result<Json> Conversation(const std::string& owner, const std::string& id);
  // The item of a request or an answer that has the id. kInvalidArgument where it is not there.
  [[nodiscard]] Result<Json> Item(const std::string& owner, const std::string& id);

  // The response as it was given, a JSON object; nothing where it is not there.
  std::optional<std::string> Response(const std::string& owner, const std::string& id);
  // The items that it answers: those of the conversation before it, as far as it is there, and its
  // request's.
  Json Input(const std::string& owner, const std::string& id);
  // Forgets it and its items; false where it was not there.
  bool Remove(const std::string& owner, const std::string& id);

 private:
  // What is kept of a response; or of an item alone, which has its JSON and nothing else.
  struct Entry {
    std::string previous, input, json;  // input: {"input": the items}
    MemoryBudget::Share memory;
  };
  using EntryPtr = std::shared_ptr<const Entry>;
  using Entries = LruCache<std::string, EntryPtr>;

  // The response and those before it, the first one first. *missing becomes the id of the one that
  // is not there, and stays empty if all are.
  std::vector<EntryPtr> Chain(const std::string& owner, const std::string& id,
                              std::string* missing);
  void Keep(const std::string& key, Entry entry, Entries* entries);

  MemoryBudget* const budget_;
  Entries responses_{kMaxEntries, kMaxBytes}, items_{kMaxEntries, kMaxBytes};
};

}  // namespace lockstep
