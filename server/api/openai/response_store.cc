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

// The id of an item; empty where it has none.
std::string IdOf(const Json& item) {
  const auto id = item.find("id");
  return id != item.end() && id->is_string() ? id->get<std::string>() : std::string();
}

// An id for an item that came without one, by which listings name it and later requests refer to
// it.
std::string NewItemId(const Json& item, size_t at, const std::string& response) {
  constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {
      {"message", "msg"},          {"reasoning", "rs"},
      {"function_call", "fc"},     {"function_call_output", "fco"},
      {"custom_tool_call", "ctc"}, {"custom_tool_call_output", "ctco"},
  };
  const auto type = item.find("type");
  const std::string name =
      type != item.end() && type->is_string() ? type->get<std::string>() : std::string("message");
  const auto known =
      std::ranges::find_if(kPrefixes, [&](const auto& entry) { return entry.first == name; });
  const std::string_view prefix = known == std::end(kPrefixes) ? "item" : known->second;
  return fmt::format("{}_in{}_{}", prefix, at, response.substr(response.find('_') + 1));
}

// The items of the list that a text has under the name.
void AddItems(const std::string& text, const char* name, Json* items) {
  const auto whole = ParseStrictObject(text);
  if (!whole || !whole->contains(name)) return;
  for (const Json& item : (*whole)[name]) items->push_back(item);
}

}  // namespace

void ResponseStore::Keep(const std::string& key, Entry entry, Entries* entries) {
  entry.memory = MemoryBudget::Share(budget_);
  const size_t bytes = entry.input.size() + entry.json.size() + key.size() + kEntryBytes;
  if (budget_ != nullptr && 2 * (budget_->used() + bytes) > budget_->capacity()) return;
  if (!entry.memory.Resize(bytes)) return;
  entries->Insert(key, std::make_shared<const Entry>(std::move(entry)), bytes);
}

void ResponseStore::Put(const std::string& owner, const std::string& id,
                        const std::string& previous, Json input, const Json& response) {
  for (size_t i = 0; i < input.size(); ++i) {
    if (IdOf(input[i]).empty()) input[i]["id"] = NewItemId(input[i], i, id);
  }
  Keep(KeyOf(owner, id), {previous, Dump({{"input", input}}), Dump(response), {}}, &responses_);
  for (const Json* const items : {&std::as_const(input), &response["output"]}) {
    for (const Json& item : *items) {
      if (const std::string name = IdOf(item); !name.empty()) {
        Keep(KeyOf(owner, name), {{}, {}, Dump(item), {}}, &items_);
      }
    }
  }
}

std::vector<ResponseStore::EntryPtr> ResponseStore::Chain(const std::string& owner,
                                                          const std::string& id,
                                                          std::string* missing) {
  std::vector<EntryPtr> chain;
  for (std::string next = id; !next.empty(); next = chain.back()->previous) {
    auto entry = responses_.Find(KeyOf(owner, next));
    if (!entry || chain.size() == kMaxTurns) {
      *missing = next;
      break;
    }
    chain.push_back(*std::move(entry));
  }
  std::ranges::reverse(chain);
  return chain;
}

Result<Json> ResponseStore::Conversation(const std::string& owner, const std::string& id) {
  std::string missing;
  const auto chain = Chain(owner, id, &missing);
  if (!missing.empty()) return NotKept("the response", missing);
  Json items = Json::array();
  for (const auto& entry : chain) {
    AddItems(entry->input, "input", &items);
    AddItems(entry->json, "output", &items);
  }
  return items;
}

std::optional<std::string> ResponseStore::Response(const std::string& owner,
                                                   const std::string& id) {
  const auto entry = responses_.Find(KeyOf(owner, id));
  if (!entry) return std::nullopt;
  return (*entry)->json;
}

Json ResponseStore::Input(const std::string& owner, const std::string& id) {
  std::string missing;
  const auto chain = Chain(owner, id, &missing);
  Json items = Json::array();
  for (const auto& entry : chain) {
    AddItems(entry->input, "input", &items);
    if (entry != chain.back()) AddItems(entry->json, "output", &items);
  }
  return items;
}

bool ResponseStore::Remove(const std::string& owner, const std::string& id) {
  const auto entry = responses_.Find(KeyOf(owner, id));
  if (!entry) return false;
  Json items = Json::array();
  AddItems((*entry)->input, "input", &items);
  AddItems((*entry)->json, "output", &items);
  for (const Json& item : items) items_.Erase(KeyOf(owner, IdOf(item)));
  responses_.Erase(KeyOf(owner, id));
  return true;
}

Result<Json> ResponseStore::Item(const std::string& owner, const std::string& id) {
  const auto entry = items_.Find(KeyOf(owner, id));
  if (!entry) return NotKept("the item", id);
  return ParseStrictObject((*entry)->json);
}

}  // namespace lockstep
