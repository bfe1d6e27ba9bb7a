// Any body to any route: an answer that its client can read, of a status that is not our fault.
// Built and run like gbnf_fuzz. Input: the path up to the first line feed, then the body.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/router.h"
#include "server/api/routes.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

constexpr char kTemplate[] =
    "{% for t in tools %}<tool_call>\n{\"name\": {{ t.function.name }}{% endfor %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}";
constexpr int kStatuses[] = {200, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 501, 503, 504};

void Check(bool holds, std::string_view what, const HttpReply& reply) {
  if (holds) return;
  std::fprintf(stderr, "body_fuzz: %.*s: status %d, %s\n", static_cast<int>(what.size()),
               what.data(), reply.status, reply.body.substr(0, 500).c_str());
  std::abort();
}

// The route that the path names, or another one, so that mutations of it are not in vain.
std::string RouteOf(std::string_view path) {
  std::vector<std::string_view> posts;
  size_t sum = 0;
  for (const Route& route : AllRoutes()) {
    if (route.path == path) return std::string(path);
    if (route.method == "POST") posts.push_back(route.path);
  }
  for (const char c : path) sum += static_cast<uint8_t>(c);
  return std::string(posts[sum % posts.size()]);
}

void CheckReply(HttpReply& reply) {
  Check(std::ranges::find(kStatuses, reply.status) != std::end(kStatuses), "the status", reply);
  for (const auto& [name, value] : reply.headers) {
    Check(value.find_first_of("\r\n") == value.npos, "a header of several lines", reply);
  }
  if (reply.next) {
    for (size_t parts = 0; parts < 1000; ++parts) {
      if (reply.next().then != BodyPart::Then::kMore) return;
    }
    Check(false, "a stream without an end", reply);
  }
  if (reply.content_type.starts_with("application/json") && !reply.body.empty()) {
    Check(Json::accept(reply.body), "a body that is no JSON", reply);
  }
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\n'), input.size());
  FakeService service;
  service.SetChatTemplate(kTemplate);
  service.script = "ab";
  const Router router(service);
  HttpRequest request;
  request.method = "POST";
  request.path = RouteOf(input.substr(0, end));
  request.headers = {{"Content-Type", "application/json"}, {"Host", "localhost"}};
  request.body = input.substr(std::min(end + 1, size));
  request.request_id = "fuzz";
  request.peer = "127.0.0.1";
  HttpReply reply = router.Handle(request);
  CheckReply(reply);
  return 0;
}
