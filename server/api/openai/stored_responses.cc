// Clients' types insist on what a request may leave out of an item, so that items are completed
// when they are asked for: what is kept is what was sent.
#include "server/api/openai/stored_responses.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/api/openai/response_store.h"
#include "server/api/request_body.h"
#include "server/http/error_reply.h"
#include "server/http/query.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr size_t kItemsOfAPage = 20, kMaxItemsOfAPage = 100;

HttpReply NoSuchResponse(std::string_view id) {
  return ErrorReply(404, fmt::format("Response with id {} not found: this server keeps the last "
                                     "answers only, each for who asked and unless \"store\" was "
                                     "false",
                                     Quoted(id.substr(0, 256))));
}

HttpReply Wrong(const char* name, const std::string& what) {
  return ErrorReply({ErrorKind::kInvalidArgument, fmt::format("{} {}", name, what), name});
}

HttpReply ReplyOf(std::string body) {
  HttpReply reply;
  reply.body = std::move(body);
  return reply;
}

// An item of a request as one of a response: with a type, a status and a list of parts.
Json Completed(Json item) {
  const auto lacks = [&item](const char* name) {
    return !item.contains(name) || item[name].is_null();
  };
  if (lacks("type")) item["type"] = "message";
  if (lacks("status")) item["status"] = "completed";
  if (item["type"] == "reasoning" && lacks("summary")) item["summary"] = Json::array();
  if (item["type"] == "message" && item.contains("content") && item["content"].is_string()) {
    Json part{{"type", "input_text"}, {"text", item["content"]}};
    if (item.value("role", Json()) == "assistant") {
      part["type"] = "output_text";
      part["annotations"] = Json::array();
    }
    item["content"] = Json::array({std::move(part)});
  }
  return item;
}

struct Page {
  size_t limit = kItemsOfAPage;
  bool ascending = false;
  std::string after;
};

// Nothing where it is as it should be, else the reply that says what is not.
std::optional<HttpReply> ReadPage(std::string_view query, Page* page,
                                  std::vector<std::string>* ignored) {
  for (const auto& [name, value] : ParseQuery(query)) {
    if (name == "limit") {
      const char* const end = value.data() + value.size();
      const auto [at, error] = std::from_chars(value.data(), end, page->limit);
      if (error != std::errc() || at != end || page->limit < 1 || page->limit > kMaxItemsOfAPage) {
        return Wrong("limit", fmt::format("must be from 1 to {}", kMaxItemsOfAPage));
      }
    } else if (name == "order") {
      if (value != "asc" && value != "desc") return Wrong("order", "must be asc or desc");
      page->ascending = value == "asc";
    } else if (name == "after") {
      page->after = value;
    } else {
      ignored->push_back(name);
    }
  }
  return std::nullopt;
}

HttpReply ListInput(Json items, std::string_view query) {
  Page page;
  std::vector<std::string> ignored;
  if (auto wrong = ReadPage(query, &page, &ignored)) return *std::move(wrong);
  std::vector<Json> all;
  for (Json& item : items) all.push_back(Completed(std::move(item)));
  if (!page.ascending) std::ranges::reverse(all);
  auto begin = all.begin();
  if (!page.after.empty()) {
    begin = std::ranges::find_if(all, [&](const Json& item) { return item["id"] == page.after; });
    if (begin == all.end()) {
      return Wrong("after", fmt::format("is {}, which is none of the items",
                                        Quoted(page.after.substr(0, 256))));
    }
    ++begin;
  }
  const auto end = begin + std::min(static_cast<ptrdiff_t>(page.limit), all.end() - begin);
  const bool more = end != all.end();
  Json data = Json::array();
  std::move(begin, end, std::back_inserter(data));
  const Json first = data.empty() ? Json() : data.front()["id"],
             last = data.empty() ? Json() : data.back()["id"];
  return WithIgnored(ReplyOf(Dump({{"object", "list"},
                                   {"data", std::move(data)},
                                   {"first_id", first},
                                   {"last_id", last},
                                   {"has_more", more}})),
                     ignored);
}

}  // namespace

HttpReply StoredResponse(RouteCall& call) {
  ResponseStore& store = *call.settings.generate.responses;
  const auto response = store.Response(call.caller.client, std::string(call.place));
  if (!response) return NoSuchResponse(call.place);
  std::vector<std::string> ignored;
  for (const auto& [name, value] : ParseQuery(call.request.query)) {
    if (name == "stream" && value != "false") {
      return Wrong("stream", "must be false: a response is kept when it has ended");
    }
    if (name != "stream") ignored.push_back(name);
  }
  return WithIgnored(ReplyOf(*response), ignored);
}

HttpReply ResponseInput(RouteCall& call) {
  ResponseStore& store = *call.settings.generate.responses;
  const std::string id(call.place);
  if (!store.Response(call.caller.client, id)) return NoSuchResponse(id);
  return ListInput(store.Input(call.caller.client, id), call.request.query);
}

HttpReply DeleteResponse(RouteCall& call) {
  const std::string id(call.place);
  if (!call.settings.generate.responses->Remove(call.caller.client, id)) return NoSuchResponse(id);
  return ReplyOf(Dump({{"id", id}, {"object", "response"}, {"deleted", true}}));
}

}  // namespace lockstep
