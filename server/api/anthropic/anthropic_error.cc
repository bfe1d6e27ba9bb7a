// Handlers, the router and the HTTP server say what is wrong in one form, OpenAI's. It is put into
// Anthropic's where a reply leaves, so that what is refused before a route is found has it too.
#include "server/api/anthropic/anthropic_error.h"

#include <map>
#include <utility>

#include "server/http/error_reply.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr int kUnavailable = 503, kOverloaded = 529;

std::string_view TypeOf(int status) {
  static const std::map<int, std::string_view> kTypes = {
      {401, "authentication_error"},     {402, "billing_error"},    {403, "permission_error"},
      {404, "not_found_error"},          {408, "timeout_error"},    {409, "conflict_error"},
      {413, "request_too_large"},        {429, "rate_limit_error"}, {504, "timeout_error"},
      {kOverloaded, "overloaded_error"},
  };
  const auto type = kTypes.find(status);
  if (type != kTypes.end()) return type->second;
  return status < 500 ? "invalid_request_error" : "api_error";
}

// `error` is in OpenAI's form.
std::string Body(int status, const Json& error, std::string_view request_id) {
  Json out{{"type", TypeOf(status)}, {"message", error["message"]}};
  // By this code the client library knows that it has to send whole conversations from then on.
  if (error.value("param", Json()) == "thread") {
    out["details"] = {{"error_code", "thread_unsupported_request"},
                      {"unsupported", Json::array({"thread"})}};
  }
  return Dump(Json{{"type", "error"}, {"error", std::move(out)}, {"request_id", request_id}});
}

}  // namespace

bool IsAnthropicPath(std::string_view path) {
  for (const std::string_view root : {"/v1/messages", "/messages"}) {
    if (path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/')) {
      return true;
    }
  }
  return false;
}

void PutInAnthropicForm(HttpReply& reply, std::string_view request_id) {
  reply.headers.emplace_back("request-id", request_id);
  if (reply.status < 400) return;
  const auto body = ParseStrictObject(reply.body);
  if (!body || !body->contains("error") || !(*body)["error"].contains("message")) return;
  if (reply.status == kUnavailable) reply.status = kOverloaded;
  reply.body = Body(reply.status, (*body)["error"], request_id);
}

std::string RenderAnthropicError(const Error& error, std::string_view request_id) {
  HttpReply reply = ErrorReply(error);
  PutInAnthropicForm(reply, request_id);
  return std::move(reply.body);
}

}  // namespace lockstep
