// The routes of OpenAI's API before a fake service.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/api/api_fixture.h"

namespace lockstep {

inline constexpr char kCompletions[] = "/v1/completions";

class OpenAiApiFixture : public ApiFixture {
 protected:
  OpenAiApiFixture() : ApiFixture("tale") {}

  // A prompt and further fields.
  HttpReply Complete(const std::string& fields) {
    return Post(kCompletions, R"({"prompt":"once",)" + fields + "}");
  }
  // The objects of its events; [DONE] as a string.
  static std::vector<Json> Events(const std::string& text) {
    std::vector<Json> events;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find("\n\n", at);
      EXPECT_EQ(text.substr(at, 6), "data: ");
      const std::string data = text.substr(at + 6, end - at - 6);
      events.push_back(data == "[DONE]" ? Json(data) : Json::parse(data, nullptr, false));
      at = end + 2;
    }
    return events;
  }
  void ExpectRefused(const std::string& path, const std::string& body, int status,
                     const std::string& param, const std::string& code = "null") {
    SCOPED_TRACE(path + " " + body.substr(0, 200));
    const HttpReply reply = Post(path, body);
    EXPECT_EQ(reply.status, status);
    const Json error = Json::parse(reply.body, nullptr, false)["error"];
    EXPECT_EQ(error["param"], param) << reply.body;
    EXPECT_EQ(error["code"].is_null() ? "null" : error["code"].get<std::string>(), code);
    EXPECT_FALSE(error["message"].get<std::string>().empty());
    EXPECT_EQ(service_.submitted(), 0u);
  }
};

}  // namespace lockstep
