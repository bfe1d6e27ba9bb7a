// What is kept of answers, asked for and deleted by its address, before a fake service.
#include "server/api/openai/stored_responses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json Parsed(const std::string& text) { return Json::parse(text, nullptr, false); }

class StoredResponsesTest : public testing::Test {
 protected:
  StoredResponsesTest() {
    service_.script = "tale";
    service_.SetChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}");
  }
  Json Create(const std::string& body) {
    return Parsed(PostJson(router_, "/v1/responses", body).body);
  }
  HttpReply Ask(const std::string& method, const std::string& rest, const std::string& query = "",
                const std::string& peer = "") {
    HttpRequest request;
    request.method = method;
    request.path = "/v1/responses/" + rest;
    request.query = query;
    request.peer = peer;
    return router_.Handle(request);
  }
  std::vector<std::string> Texts(const std::string& id, const std::string& query = "") {
    std::vector<std::string> texts;
    const Json list = Parsed(Ask("GET", id + "/input_items", query).body);
    for (const Json& item : list["data"]) texts.push_back(item["content"][0]["text"]);
    return texts;
  }

  FakeService service_;
  Router router_{service_};
};

TEST_F(StoredResponsesTest, AResponseIsWhatItWas) {
  const Json whole = Create(R"({"input":"one","metadata":{"a":"b"}})");
  const std::string id = whole["id"];
  EXPECT_EQ(Parsed(Ask("GET", id).body), whole);
  EXPECT_EQ(Ask("HEAD", id).status, 200);
  const HttpReply other = Ask("GET", id, "", "another");
  EXPECT_EQ(other.status, 404);
  EXPECT_THAT(other.body, HasSubstr("invalid_request_error"));
  EXPECT_EQ(Ask("GET", Create(R"({"input":"one","store":false})")["id"]).status, 404);
  for (const char* rest : {"", "/input_items", "input_items", "resp_x/input_items/"}) {
    EXPECT_EQ(Ask("GET", rest).status, 404) << rest;
  }
  // That of a stream is its last event's.
  HttpReply stream = PostJson(router_, "/v1/responses", R"({"input":"one","stream":true})");
  std::string last;
  for (BodyPart part; part.then != BodyPart::Then::kLast;) last = (part = stream.next()).data;
  const Json event = Parsed(last.substr(last.rfind("data: ") + 6));
  EXPECT_EQ(Parsed(Ask("GET", event["response"]["id"]).body), event["response"]);
}

TEST_F(StoredResponsesTest, FieldsOfAQuery) {
  const std::string id = Create(R"({"input":"one"})")["id"];
  EXPECT_EQ(Ask("GET", id, "stream=true").status, 400);
  const HttpReply reply = Ask("GET", id, "stream=false&include%5B%5D=x&a%0d%0ab");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(FindHeader(reply.headers, "x-ignored-params"), R"(include[], a\x0d\x0ab)");
  for (const char* query : {"limit=0", "limit=101", "limit=x", "limit=", "order=up", "after=x"}) {
    const HttpReply wrong = Ask("GET", id + "/input_items", query);
    EXPECT_EQ(wrong.status, 400) << query;
    EXPECT_THAT(wrong.body, HasSubstr(std::string("\"param\":\"") +
                                      std::string(query).substr(0, std::string(query).find('='))));
  }
}

TEST_F(StoredResponsesTest, InputIsAListOfPages) {
  const Json first = Create(R"({"input":"one"})");
  const std::string id = Create(R"({"previous_response_id":)" + first["id"].dump() +
                                R"(,"input":[{"role":"user","content":"two"},{"id":"mine",
                                "type":"message","role":"user","content":"three"}]})")["id"];
  EXPECT_THAT(Texts(id, "order=asc"), ElementsAre("one", "tale", "two", "three"));
  EXPECT_THAT(Texts(id), ElementsAre("three", "two", "tale", "one"));
  const Json page = Parsed(Ask("GET", id + "/input_items", "limit=2&after=mine").body);
  EXPECT_EQ(page["object"], "list");
  EXPECT_EQ(page["has_more"], true);
  EXPECT_EQ(page["first_id"], page["data"][0]["id"]);
  EXPECT_EQ(page["last_id"], page["data"][1]["id"]);
  EXPECT_EQ(page["data"][1]["id"], first["output"][0]["id"]);
  EXPECT_THAT(Texts(id, "limit=2&after=" + page["last_id"].get<std::string>()), ElementsAre("one"));
  const Json last = Parsed(Ask("GET", id + "/input_items", "order=asc&after=mine").body);
  EXPECT_EQ(last.dump(),
            R"({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false})");
}

TEST_F(StoredResponsesTest, ItemsHaveWhatClientsInsistOn) {
  const std::string id = Create(R"({"input":[{"role":"user","content":"a"},
      {"role":"assistant","content":"b"},{"type":"reasoning","content":null},
      {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
      {"type":"function_call_output","call_id":"c","output":"o"}]})")["id"];
  const Json data = Parsed(Ask("GET", id + "/input_items", "order=asc").body)["data"];
  ASSERT_EQ(data.size(), 5u);
  EXPECT_EQ(data[0]["type"], "message");
  EXPECT_EQ(data[0]["content"].dump(), R"([{"type":"input_text","text":"a"}])");
  EXPECT_EQ(data[1]["content"].dump(), R"([{"type":"output_text","text":"b","annotations":[]}])");
  EXPECT_EQ(data[2]["summary"], Json::array());
  std::set<std::string> ids;
  for (const Json& item : data) {
    ids.insert(item["id"].get<std::string>());
    EXPECT_EQ(item["status"], "completed");
  }
  EXPECT_EQ(ids.size(), 5u);
  EXPECT_THAT(data[3]["id"].get<std::string>(), testing::StartsWith("fc_"));
}

TEST_F(StoredResponsesTest, ListedItemsCanBeReferredTo) {
  const std::string id = Create(R"({"input":"one"})")["id"];
  const Json item = Parsed(Ask("GET", id + "/input_items").body)["data"][0];
  const Json next = Create(R"({"input":[{"type":"item_reference","id":)" + item["id"].dump() +
                           R"(},{"role":"user","content":"two"}]})");
  EXPECT_THAT(Texts(next["id"], "order=asc"), ElementsAre("one", "two"));
  EXPECT_EQ(Parsed(Ask("GET", next["id"].get<std::string>() + "/input_items", "order=asc")
                       .body)["data"][0]["id"],
            item["id"]);
}

TEST_F(StoredResponsesTest, WhatIsDeletedIsGone) {
  const std::string id = Create(R"({"input":"one"})")["id"];
  EXPECT_EQ(Ask("DELETE", id, "", "another").status, 404);
  EXPECT_EQ(Ask("DELETE", id).body, R"({"id":")" + id + R"(","object":"response","deleted":true})");
  EXPECT_EQ(Ask("DELETE", id).status, 404);
  EXPECT_EQ(Ask("GET", id).status, 404);
  EXPECT_EQ(
      PostJson(router_, "/v1/responses", R"({"input":"two","previous_response_id":")" + id + "\"}")
          .status,
      400);
}

TEST_F(StoredResponsesTest, OtherMethodsAreRefusedByName) {
  const HttpReply reply = Ask("POST", "x");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(FindHeader(reply.headers, "Allow"), "GET, HEAD, DELETE");
  for (const char* method : {"POST", "DELETE"}) {
    EXPECT_EQ(FindHeader(Ask(method, "x/input_items").headers, "Allow"), "GET, HEAD") << method;
  }
  HttpRequest get;
  get.method = "GET";
  get.path = "/v1/responses/input_tokens";
  EXPECT_EQ(router_.Handle(get).status, 405);
}

}  // namespace
}  // namespace lockstep
