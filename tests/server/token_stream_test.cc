#include "server/token_stream.h"

#include <gtest/gtest.h>

#include <thread>

namespace lockstep {
namespace {

using std::chrono::milliseconds;

TokenEvent Token(size_t index, const std::string& text = "x") {
  TokenEvent event;
  event.index = index;
  event.text = text;
  return event;
}

class TokenStreamTest : public testing::Test {
 protected:
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

TEST_F(TokenStreamTest, HandsOverInOrderBetweenThreads) {
  TokenStream stream(cancelled_);
  constexpr size_t kTokens = 1000;
  std::thread scheduler([&] {
    for (size_t i = 0; i < kTokens; ++i) stream.OnToken(Token(i));
    stream.OnFinish(FinishReason::kStop, {1, 2, 3});
  });
  for (size_t i = 0; i < kTokens; ++i) {
    const auto item = stream.Next(milliseconds(10'000));
    ASSERT_TRUE(item.has_value());
    ASSERT_EQ(std::get<TokenEvent>(*item).index, i);
  }
  const auto end = stream.Next(milliseconds(10'000));
  scheduler.join();
  ASSERT_TRUE(end.has_value());
  EXPECT_FALSE(std::get<StreamEnd>(*end).error.has_value());
  EXPECT_EQ(std::get<StreamEnd>(*end).finish, FinishReason::kStop);
  EXPECT_EQ(std::get<StreamEnd>(*end).stats.decode_s, 3);
  EXPECT_FALSE(*cancelled_);
}

TEST_F(TokenStreamTest, NextGivesUpInTime) {
  TokenStream stream(cancelled_);
  EXPECT_FALSE(stream.Next(milliseconds(1)).has_value());
}

TEST_F(TokenStreamTest, ErrorsComeAfterTheTokens) {
  TokenStream stream(cancelled_);
  stream.OnToken(Token(0));
  stream.OnError({ErrorKind::kInternal, "broken", {}}, {});
  EXPECT_TRUE(std::holds_alternative<TokenEvent>(*stream.Next(milliseconds(0))));
  EXPECT_EQ(std::get<StreamEnd>(*stream.Next(milliseconds(0))).error->message, "broken");
}

// Whatever the scheduler then says, an answer with a hole is an error.
TEST_F(TokenStreamTest, AReaderThatFallsBehindIsCancelled) {
  for (const bool finishes : {false, true}) {
    *cancelled_ = false;
    TokenStream stream(cancelled_, 10'000);
    size_t sent = 0;
    while (!*cancelled_ && sent < 1000) stream.OnToken(Token(sent++, std::string(100, 'x')));
    EXPECT_TRUE(*cancelled_);
    EXPECT_GT(sent, 10u);
    stream.OnToken(Token(sent));
    if (finishes) {
      stream.OnFinish(FinishReason::kLength, {});
    } else {
      stream.OnError({ErrorKind::kCancelled, "the request was cancelled", {}}, {});
    }
    size_t received = 0;
    auto item = stream.Next(milliseconds(0));
    for (; std::holds_alternative<TokenEvent>(*item); item = stream.Next(milliseconds(0))) {
      EXPECT_EQ(std::get<TokenEvent>(*item).index, received++);
    }
    EXPECT_EQ(received, sent - 1);
    ASSERT_TRUE(std::get<StreamEnd>(*item).error.has_value());
    EXPECT_EQ(std::get<StreamEnd>(*item).error->kind, ErrorKind::kCancelled);
    EXPECT_NE(std::get<StreamEnd>(*item).error->message.find("slowly"), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep
