// What makes two requests one, and what does not.
#include "server/api/request_digest.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

std::string Of(const std::string& body, const char* path = "/generate") {
  return RequestDigest(path, *ParseStrictObject(body));
}

TEST(RequestDigestTest, WhatMeansNothingMakesNoDifference) {
  const std::string digest = Of(R"({"prompt":"x","seed":7,"logit_bias":{"1":2,"3":0.5}})");
  EXPECT_EQ(digest.size(), 32u);
  for (const char* same : {
           R"( {"logit_bias": {"3": 5e-1, "1": 2.0}, "seed": 7, "prompt": "\u0078"} )",
           R"({"prompt":"x","seed":7.0,"logit_bias":{"1":2,"3":0.5},"stop":null})",
           R"({"prompt":"x","seed":7,"logit_bias":{"1":2,"3":0.5},"prediction":{"content":"y"}})",
       }) {
    EXPECT_EQ(Of(same), digest) << same;
  }
}

TEST(RequestDigestTest, WhatMayMeanSomethingDoes) {
  std::vector<std::string> digests = {Of(R"({"a":"x"})"), Of(R"({"a":"x"})", "/completion")};
  for (const char* other :
       {R"({"a":"y"})", R"({"b":"x"})", R"({"a":["x"]})", R"({"a":[["x"]]})", R"({"a":["x",[]]})",
        R"({"a":[[],"x"]})", R"({"a":{"x":1}})", R"({"a":1})", R"({"a":"1"})", R"({"a":true})",
        R"({"a":"true"})", R"({"a":1.5})", R"({"a":-1})", R"({"a":18446744073709551615})",
        R"({"a":18446744073709551616})", R"({"a":[null]})", R"({"a":{"prediction":"x"}})",
        R"({"a":{}})", R"({})"}) {
    digests.push_back(Of(other));
  }
  for (size_t i = 0; i < digests.size(); ++i) {
    for (size_t k = 0; k < i; ++k) EXPECT_NE(digests[i], digests[k]) << i << " " << k;
  }
}

TEST(RequestDigestTest, TokensAreTellApartWhereListsEnd) {
  const auto digest = [](const std::vector<std::vector<int32_t>>& lists) {
    return TokensDigest(lists);
  };
  EXPECT_EQ(digest({{1, 2}, {3}}), digest({{1, 2}, {3}}));
  EXPECT_NE(digest({{1, 2}, {3}}), digest({{1}, {2, 3}}));
  EXPECT_NE(digest({{1, 2}}), digest({{1, 2}, {}}));
  EXPECT_NE(digest({{1, 2}}), digest({{2, 1}}));
}

}  // namespace
}  // namespace lockstep
