#include "server/api/chat/message_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

class MessageListTest : public testing::Test {
 protected:
  // What `read` leaves to say of the body: nothing, or what is wrong with it.
  std::string ErrorOf(const std::string& body, const std::function<void(FieldReader&)>& read) {
    const Json json = *ParseStrictObject(body);
    FieldReader fields(json);
    read(fields);
    const Status status = fields.Finish(context_.unknown());
    return status ? "" : status.error().message;
  }

  FakeService service_;
  const ModelNames names_{};
  ReadContext context_{service_, names_, false, {}};
};

TEST_F(MessageListTest, EachMessageIsReadUntilOneIsRefused) {
  std::string roles;
  const auto read = [&](FieldReader& fields) {
    roles.clear();
    ReadEachMessage(fields, context_, [&](FieldReader& message) {
      roles +=
          ReadRole(message, std::vector<std::string_view>{"user", "tool"}, "must be user or tool") +
          ";";
    });
  };
  EXPECT_EQ(ErrorOf(R"({"messages":[{"role":"user"},{"role":"tool"}]})", read), "");
  EXPECT_EQ(roles, "user;tool;");
  EXPECT_EQ(ErrorOf(R"({"messages":[{"role":"cat"},{"role":"tool"}]})", read),
            "messages[0].role must be user or tool");
  EXPECT_EQ(roles, "cat;");
  EXPECT_EQ(ErrorOf(R"({"messages":[{}]})", read), "messages[0].role must be user or tool");
  EXPECT_EQ(ErrorOf(R"({"messages":[{"role":7}]})", read), "messages[0].role must be a string");
  EXPECT_EQ(ErrorOf(R"({"messages":[7]})", read),
            "messages[0] must be an object with a role and content");
  for (const char* body : {"{}", R"({"messages":[]})", R"({"messages":{}})"}) {
    EXPECT_EQ(ErrorOf(body, read), "messages must be a list of at least one message") << body;
  }
  std::string many = R"({"messages":[{})";
  for (size_t i = 0; i < kMaxMessages; ++i) many += ",{}";
  EXPECT_EQ(ErrorOf(many + "]}", read), "messages has 4097 messages; send at most 4096");
}

TEST_F(MessageListTest, CallsAreReadOneByOne) {
  std::optional<Json> calls;
  const auto read = [&](FieldReader& fields) {
    calls = ReadCalls(fields, context_, "must be a call", [](FieldReader& call) {
      std::string id;
      call.Text("id", &id);
      return Json(id);
    });
  };
  EXPECT_EQ(ErrorOf(R"({"tool_calls":[{"id":"a"},{"id":"b"}]})", read), "");
  EXPECT_EQ(*calls, Json({"a", "b"}));
  EXPECT_EQ(ErrorOf(R"({"tool_calls":[]})", read), "");
  EXPECT_EQ(*calls, Json::array());
  EXPECT_EQ(ErrorOf("{}", read), "");
  EXPECT_EQ(calls, std::nullopt);
  EXPECT_EQ(ErrorOf(R"({"tool_calls":{"id":"a"}})", read), "tool_calls must be a list");
  EXPECT_EQ(ErrorOf(R"({"tool_calls":[{"id":"a"},7]})", read), "tool_calls[1] must be a call");
  std::string many = R"({"tool_calls":[{})";
  for (size_t i = 0; i < kMaxTools; ++i) many += ",{}";
  EXPECT_EQ(ErrorOf(many + "]}", read), "tool_calls has more than 512 calls");
}

TEST(CallArguments, AreTheObjectOfTheirTextOrTheText) {
  EXPECT_EQ(CallArguments(R"({"a": [1]})"), Json({{"a", {1}}}));
  EXPECT_EQ(CallArguments(""), Json::object());
  for (const char* text : {R"({"a": )", "[1]", "7", "x"})
    EXPECT_EQ(CallArguments(text), Json(text));
}

}  // namespace
}  // namespace lockstep
