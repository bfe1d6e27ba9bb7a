// The routes before a fake service, which answers every request with a script: what the tests of
// the dialects have in common.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <string_view>

#include "server/api/router.h"
#include "server/json/json_text.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"
#include "tests/support/grammar_match.h"

namespace lockstep {

// Shows a call's form and what was said.
inline constexpr char kCallTemplate[] =
    "{% for t in tools %}<tool_call>\n{\"name\": {{ t.function.name }}{% endfor %}"
    "{% for m in messages %}{{ m.content }}{% endfor %}";

class ApiFixture : public testing::Test {
 protected:
  // Without a template the model has no chats. `end` is why an answer ends behind the script.
  explicit ApiFixture(std::string script, const char* chat_template = nullptr,
                      FinishReason end = FinishReason::kLength) {
    service_.script = std::move(script);
    service_.script_end = end;
    if (chat_template != nullptr) service_.SetChatTemplate(chat_template);
  }

  HttpReply Post(const std::string& path, const std::string& body) {
    return PostJson(router_, path, body);
  }
  static Json Answer(const HttpReply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Json::parse(reply.body, nullptr, false);
  }
  // Sends a request on another thread, until the service was given it; its reply comes with the
  // first token that the test makes.
  template <class Send>
  std::future<HttpReply> Begin(const Send& send) {
    const size_t before = service_.submitted();
    auto reply = std::async(std::launch::async, send);
    EXPECT_TRUE(Eventually([&] { return service_.submitted() > before; }));
    return reply;
  }
  // All that a stream sends.
  static std::string Read(const HttpReply& reply) {
    std::string text;
    BodyPart part;
    do {
      part = reply.next();
      text += part.data;
    } while (part.then == BodyPart::Then::kMore);
    return text;
  }
  static std::string Ignored(const HttpReply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return std::string(FindHeader(reply.headers, "x-ignored-params"));
  }

  // Of the last request that the service was given.
  GenerationOptions LastOptions() { return service_.request(service_.submitted() - 1).options; }
  std::string LastPrompt() {
    return service_.Decode(service_.request(service_.submitted() - 1).prompt);
  }
  // Whether its grammar allows a text; without one, all are allowed.
  bool Allows(std::string_view text) {
    const auto grammar = LastOptions().grammar;
    return grammar == nullptr || Matches(grammar->grammar(), text);
  }

  FakeService service_;
  Router router_{service_};
};

}  // namespace lockstep
