// Entries are texts, whose size is known, and each response has only what it adds: a conversation
// of many turns is a chain, of which nothing is kept twice. An item is kept once more by itself,
// because clients name single items of answers and leave out others.
#include "server/api/openai/response_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr size_t kMaxTurns = 4096;  // of a chain
constexpr size_t kEntryBytes = 256;

// No owner's name has a NUL, so that no two owners' keys are the same.
std::string KeyOf(const std::string& owner, const std::string& id) { return owner + '\0' + id; }

tl::unexpected<Error> NotKept(const char* what, const std::string& id) {
  return Fail(
      ErrorKind::kInvalidArgument,
      fmt::format("{} {} is not known: this server keeps the last answers only, each for who "
                  "asked and unless \"store\" was false; send the items themselves, with "
                  "\"store\": false",
                  what, Quoted(id.substr(0, 256))));
}

}  // namespace

void ResponseStore::Keep(const std::string& key, std::string previous, const Json& json,
                         Entries* entries) {
  auto entry = std::make_shared<Entry>();
  entry->previous = std::move(previous);
  entry->json = Dump(json);
  entry->memory = MemoryBudget::Share(budget_);
  const size_t bytes = entry->json.size() + key.size() + kEntryBytes;
  if (budget_ != nullptr && 2 * (budget_->used() + bytes) > budget_->capacity()) return;
  if (!entry->memory.Resize(bytes)) return;
  entries->Insert(key, std::move(entry), bytes);
}

void ResponseStore::Put(const std::string& owner, const std::string& id,
                        const std::string& previous, const Json& items) {
  Keep(KeyOf(owner, id), previous, {{"items", items}}, &responses_);
  for (const Json& item : items) {
    const auto name = item.find("id");
    if (name == item.end() || !name->is_string()) continue;
    Keep(KeyOf(owner, name->get<std::string>()), {}, item, &items_);
  }
}

Result<Json> ResponseStore::Conversation(const std::string& owner, const std::string& id) {
  std::vector<std::shared_ptr<const Entry>> chain;
  for (std::string next = id; !next.empty(); next = chain.back()->previous) {
    auto entry = responses_.Find(KeyOf(owner, next));
    if (!entry || chain.size() == kMaxTurns) return NotKept("the response", next);
    chain.push_back(*std::move(entry));
  }
  Json items = Json::array();
  std::reverse(chain.begin(), chain.end());
  for (const auto& entry : chain) {
    TRY(const Json whole, ParseStrictObject(entry->json));
    for (const Json& item : whole["items"]) items.push_back(item);
  }
  return items;
}

Result<Json> ResponseStore::Item(const std::string& owner, const std::string& id) {
  const auto entry = items_.Find(KeyOf(owner, id));
  if (!entry) return NotKept("the item", id);
  return ParseStrictObject((*entry)->json);
}

}  // namespace lockstep
