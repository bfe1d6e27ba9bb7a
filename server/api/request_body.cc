// What all dialects have in common stands here once: the checks of the body, the caller's own
// deadline, and the header that names what was ignored.
#include "server/api/request_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "core/base/quoted.h"
#include "server/http/error_reply.h"
#include "server/http/media_type.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

// What a client would wait before it tried again; most who are being read have left by then.
constexpr std::chrono::milliseconds kPatience{1000}, kBetweenLooks{5};
constexpr size_t kMaxIgnoredNames = 4096;  // bytes: clients have limits for all headers together

// X-Request-Timeout-Ms, where it is there and less than what the server allows.
Status LowerTimeout(const HttpHeaders& headers, Deadlines& deadlines) {
  const std::string_view text = TrimSpaces(FindHeader(headers, "X-Request-Timeout-Ms"));
  if (text.empty()) return {};
  int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc() || end != text.data() + text.size() || ms < 1) {
    return Fail(ErrorKind::kInvalidArgument,
                "the header X-Request-Timeout-Ms must be a positive number of milliseconds",
                "X-Request-Timeout-Ms");
  }
  deadlines.total = std::min(deadlines.total, std::chrono::milliseconds(ms));
  return {};
}

// Takes so many bytes as soon as the others leave them. So of large requests that come at the same
// time one is read after the other, and none is refused because they came at once.
Status TakeInTurn(size_t bytes, const std::function<bool()>& gone, MemoryBudget::Share& memory) {
  const auto end = Clock::now() + kPatience;
  for (;;) {
    Status taken = memory.Resize(bytes);
    const bool waits = !taken && taken.error().kind == ErrorKind::kOverloaded;
    if (!waits || Clock::now() >= end || gone()) return taken;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace

std::string ContentTypeProblem(const HttpRequest& request) {
  const std::string_view content_type = FindHeader(request.headers, "Content-Type");
  if (IsOllamaPath(request.path) && FindHeader(request.headers, "Origin").empty()) return {};
  if (TrimSpaces(content_type).empty()) {
    return "the request has no Content-Type: send application/json";
  }
  const std::optional<MediaType> media = ParseMediaType(content_type);
  if (media && media->type == "application/x-www-form-urlencoded") {
    return "the body is marked as a form, as curl -d does by itself: "
           "add -H 'Content-Type: application/json'";
  }
  if (!media || media->type != "application/json") {
    return fmt::format("the Content-Type is {}: send application/json", Quoted(content_type));
  }
  return media->IsUtf8() ? "" : "the charset must be utf-8";
}

tl::expected<Body, HttpReply> ReadBody(const HttpRequest& request, Caller& caller,
                                       MemoryBudget* budget) {
  if (std::string problem = ContentTypeProblem(request); !problem.empty()) {
    return tl::unexpected(ErrorReply(415, problem));
  }
  if (Status status = LowerTimeout(request.headers, caller.deadlines); !status) {
    return tl::unexpected(ErrorReply(status.error()));
  }
  // The text itself is counted where it was read.
  MemoryBudget::Share memory(budget, request.body.size());
  const size_t bytes = ParsedBytes(request.body) + kReadingCopies * request.body.size();
  if (Status status = TakeInTurn(bytes, caller.gone, memory); !status) {
    return tl::unexpected(ErrorReply(status.error()));
  }
  auto json = ParseStrictObject(request.body);
  if (!json) return tl::unexpected(ErrorReply(json.error()));
  return Body{*std::move(json), std::move(memory)};
}

HttpReply WithHeaders(HttpReply reply, const ReadContext& context) {
  for (const auto& header : context.headers) reply.headers.push_back(header);
  return WithIgnored(std::move(reply), context.ignored);
}

ReadContext ContextOf(const RouteCall& call, bool strict_dialect, MemoryBudget::Share memory) {
  const GenerateSettings& settings = call.settings.generate;
  const bool lenient = !settings.strict && !strict_dialect;
  ReadContext context{*call.service, settings.names, lenient, {}};
  context.accept = FindHeader(call.request.headers, "Accept");
  context.request_id = call.request.request_id;
  context.compile_for = {call.caller.client, call.caller.gone,
                         call.caller.arrived + call.caller.deadlines.total};
  context.generic_tools = settings.generic_tools;
  context.responses = settings.responses;
  context.memory = std::move(memory);
  return context;
}

HttpReply WithIgnored(HttpReply reply, const std::vector<std::string>& ignored) {
  if (ignored.empty()) return reply;
  std::string names;
  size_t named = 0;
  for (; named < ignored.size(); ++named) {
    const std::string name = Escaped(ignored[named]);  // no line breaks in a header
    if (names.size() + name.size() > kMaxIgnoredNames) break;
    names += (names.empty() ? "" : ", ") + name;
  }
  if (named < ignored.size()) names += fmt::format(", and {} more", ignored.size() - named);
  reply.headers.emplace_back("x-ignored-params", std::move(names));
  return reply;
}

}  // namespace lockstep
