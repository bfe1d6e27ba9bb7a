// Receipts: what they say of an answer, and their form.
#include "server/api/receipt.h"

#include <gmock/gmock.h>

#include "core/base/digest.h"
#include "server/api/request_digest.h"
#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

class ReceiptTest : public ApiFixture {
 protected:
  ReceiptTest() : ApiFixture("tale") {}
};

TEST_F(ReceiptTest, AnAnswerSaysWhatItWasMadeOf) {
  const std::string body = R"({"prompt":"once","seed":-7})";
  const HttpReply reply = Post("/generate", body);
  const Json json = Answer(reply)["receipt"];
  EXPECT_EQ(json["system_fingerprint"], "ls1-0123456789abcdef");
  EXPECT_EQ(json["seed"], -7);
  EXPECT_EQ(json["request"], Hex(RequestDigest("/generate", *ParseStrictObject(body))));
  EXPECT_EQ(json["prompt"], HexDigest({'o', 'n', 'c', 'e'}));
  EXPECT_EQ(json["answer"], HexDigest({'t', 'a', 'l', 'e'}));
  EXPECT_EQ(FindHeader(reply.headers, "x-lockstep-receipt"), Dump(json));
  EXPECT_EQ(ReadReceipt(json)->seed, static_cast<uint64_t>(-7));
}

// Of OpenAI's choices each has one, also in a stream, where its last piece has it.
TEST_F(ReceiptTest, EachChoiceHasItsOwn) {
  const std::string fields = R"("prompt":["ab","c"],"n":2,"seed":5)";
  const Json whole = Answer(Post("/v1/completions", "{" + fields + "}"));
  for (size_t i = 0; i < 4; ++i) {
    const Json& receipt = whole["choices"][i]["receipt"];
    EXPECT_EQ(receipt["seed"], 5 + i % 2);
    EXPECT_EQ(receipt["prompt"], i < 2 ? HexDigest({'a', 'b'}) : HexDigest({'c'}));
  }
  const std::string stream = Read(Post("/v1/completions", "{" + fields + R"(,"stream":true})"));
  size_t receipts = 0;
  for (size_t at = 0; (at = stream.find("\"receipt\":", at)) != stream.npos; ++at) ++receipts;
  EXPECT_EQ(receipts, 4u);
}

TEST_F(ReceiptTest, AnotherFormIsRefused) {
  const Json whole = Answer(Post("/generate", R"({"prompt":"x"})"))["receipt"];
  EXPECT_TRUE(ReadReceipt(whole).has_value());
  for (const char* name : {"system_fingerprint", "seed", "request", "prompt", "answer"}) {
    for (const Json& value : {Json(nullptr), Json(1.5), Json::array()}) {
      Json wrong = whole;
      wrong[name] = value;
      EXPECT_EQ(ReadReceipt(wrong).error().param, "receipt") << name;
    }
  }
  EXPECT_FALSE(ReadReceipt("x").has_value());
}

}  // namespace
}  // namespace lockstep
