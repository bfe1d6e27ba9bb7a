// What is kept of answers, and second turns that name it, before a fake service.
#include "server/api/openai/response_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

Json Parsed(const std::string& text) { return Json::parse(text, nullptr, false); }

const Json kNoItems{{"output", Json::array()}};

TEST(ResponseStore, ConversationsAreChains) {
  ResponseStore store;
  store.Put("a", "r1", "", Parsed(R"([{"n":1}])"), Parsed(R"({"output":[{"id":"m1","n":2}]})"));
  store.Put("a", "r2", "r1", Parsed(R"([{"n":3}])"), Parsed(R"({"output":[{"id":"m2","n":4}]})"));
  EXPECT_EQ(
      store.Conversation("a", "r2").value().dump(),
      R"([{"n":1,"id":"msg_in0_r1"},{"id":"m1","n":2},{"n":3,"id":"msg_in0_r2"},{"id":"m2","n":4}])");
  EXPECT_EQ(store.Conversation("a", "r1").value().size(), 2u);
  EXPECT_EQ(store.Item("a", "m1").value()["n"], 2);
  EXPECT_EQ(store.Response("a", "r2"), R"({"output":[{"id":"m2","n":4}]})");
  EXPECT_EQ(store.Input("a", "r2").dump(),
            R"([{"n":1,"id":"msg_in0_r1"},{"id":"m1","n":2},{"n":3,"id":"msg_in0_r2"}])");
  // What came without an id has the same one wherever it is listed, and is found by it.
  EXPECT_EQ(store.Item("a", "msg_in0_r1").value()["n"], 1);
  // Another's are not there.
  EXPECT_FALSE(store.Response("b", "r1"));
  EXPECT_FALSE(store.Conversation("b", "r1"));
  EXPECT_FALSE(store.Item("b", "m1"));
  EXPECT_THAT(store.Item("a", "m3").error().message, HasSubstr("\"store\": false"));
}

TEST(ResponseStore, WhatIsRemovedIsNotThere) {
  ResponseStore store;
  store.Put("a", "r1", "", Parsed(R"([{"id":"m0"}])"), Parsed(R"({"output":[{"id":"m1"}]})"));
  store.Put("a", "r2", "r1", Parsed(R"([{"n":1}])"), Parsed(R"({"output":[]})"));
  EXPECT_FALSE(store.Remove("b", "r1"));
  EXPECT_TRUE(store.Remove("a", "r1"));
  EXPECT_FALSE(store.Remove("a", "r1"));
  EXPECT_FALSE(store.Response("a", "r1"));
  EXPECT_FALSE(store.Item("a", "m0"));
  EXPECT_FALSE(store.Item("a", "m1"));
  // What went on with it does so no more, and is there with what it has itself.
  EXPECT_FALSE(store.Conversation("a", "r2"));
  EXPECT_EQ(store.Input("a", "r2").dump(), R"([{"n":1,"id":"msg_in0_r2"}])");
}

TEST(ResponseStore, TheOldestGoFirst) {
  ResponseStore store;
  for (size_t i = 0; i <= ResponseStore::kMaxEntries; ++i) {
    store.Put("a", "r" + std::to_string(i), "", Json::array(), kNoItems);
  }
  EXPECT_FALSE(store.Conversation("a", "r0"));
  EXPECT_TRUE(store.Conversation("a", "r1"));
  // A conversation whose beginning is gone is gone.
  store.Put("a", "next", "r0", Json::array(), kNoItems);
  EXPECT_THAT(store.Conversation("a", "next").error().message, HasSubstr("r0"));
}

TEST(ResponseStore, HalfOfTheMemoryStaysFree) {
  MemoryBudget budget(10000);
  {
    ResponseStore store(&budget);
    store.Put("a", "r1", "", Json::array({{{"text", std::string(3000, 'x')}}}), kNoItems);
    EXPECT_TRUE(store.Conversation("a", "r1"));
    EXPECT_GT(budget.used(), 3000u);
    store.Put("a", "r2", "", Json::array({{{"text", std::string(3000, 'x')}}}), kNoItems);
    EXPECT_FALSE(store.Conversation("a", "r2"));
  }
  EXPECT_EQ(budget.used(), 0u);
}

class SecondTurnTest : public testing::Test {
 protected:
  SecondTurnTest() {
    service_.script = "tale";
    service_.script_end = FinishReason::kStop;
    service_.SetChatTemplate("{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}");
  }
  HttpReply Post(const std::string& body, const std::string& peer = "one") {
    HttpRequest request = JsonRequest("/v1/responses", body);
    request.peer = peer;
    return router_.Handle(request);
  }
  std::string Prompt() {
    return service_.Decode(service_.request(service_.submitted() - 1).prompt);
  }

  FakeService service_;
  Router router_{service_};
};

TEST_F(SecondTurnTest, APreviousResponseIsTheConversation) {
  const Json first = Parsed(Post(R"({"input":"one","instructions":"s"})").body);
  EXPECT_EQ(first["store"], true);
  const std::string id = first["id"].get<std::string>();
  const auto next = [](const std::string& previous, const std::string& fields = "") {
    return R"({"input":"two","previous_response_id":")" + previous + "\"" + fields + "}";
  };
  const Json second = Parsed(Post(next(id)).body);
  EXPECT_EQ(Prompt(), "[user: one][assistant: tale][user: two]");  // without the instructions
  EXPECT_EQ(second["previous_response_id"], id);
  Post(next(second["id"].get<std::string>(), R"(,"stream":true)")).next();
  EXPECT_EQ(Prompt(), "[user: one][assistant: tale][user: two][assistant: tale][user: two]");
  const HttpReply other = Post(next(id), "another");
  EXPECT_EQ(other.status, 400);
  EXPECT_THAT(other.body, HasSubstr(R"("param":"previous_response_id")"));
  const Json unkept = Parsed(Post(R"({"input":"one","store":false})").body);
  EXPECT_EQ(unkept["store"], false);
  EXPECT_EQ(Post(next(unkept["id"].get<std::string>())).status, 400);
}

// As @ai-sdk/openai does by default.
TEST_F(SecondTurnTest, AnItemStandsForItself) {
  HttpReply stream = Post(R"({"input":"one","stream":true})");
  std::string events;
  for (BodyPart part; part.then != BodyPart::Then::kLast;) events += (part = stream.next()).data;
  const size_t at = events.find("msg_");
  const std::string id = events.substr(at, events.find('"', at) - at);
  const std::string reference = R"({"type":"item_reference","id":")" + id + "\"}";
  const Json second = Parsed(Post(R"({"input":[{"role":"user","content":"one"},)" + reference +
                                  R"(,{"role":"user","content":"two"}]})")
                                 .body);
  EXPECT_EQ(Prompt(), "[user: one][assistant: tale][user: two]");
  // What goes on with it has the item, and not what stood for it.
  Post(R"({"input":"three","previous_response_id":)" + second["id"].dump() + "}");
  EXPECT_EQ(Prompt(), "[user: one][assistant: tale][user: two][assistant: tale][user: three]");
  const HttpReply other = Post("{\"input\":[" + reference + "]}", "another");
  EXPECT_EQ(other.status, 400);
  EXPECT_THAT(other.body, HasSubstr(R"("param":"input[0].id")"));
}

}  // namespace
}  // namespace lockstep
