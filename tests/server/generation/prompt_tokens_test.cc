#include "server/generation/prompt_tokens.h"

#include <gtest/gtest.h>

#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

std::string TokensOf(const GenerateRequest& request, const GenerateRequest::Prompt& prompt) {
  const FakeService service;
  return service.Decode(PromptTokens(service, request, prompt));
}

TEST(PromptTokens, ATextIsEncodedAsTheRequestSays) {
  GenerateRequest request;
  EXPECT_EQ(TokensOf(request, "a^b"), "a^b");  // as the service does it by itself
  request.parse_special = true;
  EXPECT_EQ(TokensOf(request, "a^b"), "^a^b");
  request.add_special = false;
  EXPECT_EQ(TokensOf(request, "a^b"), "a^b");
  request.parse_special = false;
  EXPECT_EQ(TokensOf(request, "a^b"), "a?b");
}

TEST(PromptTokens, IdsStayWhatTheyAre) {
  GenerateRequest request;
  request.parse_special = true;
  EXPECT_EQ(TokensOf(request, std::vector<int32_t>{'x', '^'}), "x^");
}

TEST(PromptTokens, ALongPromptLosesItsFront) {
  GenerateRequest request;
  request.keep_prompt = 3;
  EXPECT_EQ(TokensOf(request, "abcde"), "cde");
  EXPECT_EQ(TokensOf(request, std::vector<int32_t>{'a', 'b', 'c', 'd'}), "bcd");
  EXPECT_EQ(TokensOf(request, "abc"), "abc");
  EXPECT_EQ(TokensOf(request, "ab"), "ab");
}

}  // namespace
}  // namespace lockstep
