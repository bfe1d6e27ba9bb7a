#include "server/generation/token_stream.h"

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
  const auto stream = std::make_shared<TokenStream>(cancelled_);
  const auto sink = stream->Sink(2);
  constexpr size_t kTokens = 1000;
  std::thread scheduler([&] {
    for (size_t i = 0; i < kTokens; ++i) sink->OnToken(Token(i));
    sink->OnFinish(FinishReason::kStop, {1, 2, 3});
  });
  for (size_t i = 0; i < kTokens; ++i) {
    const auto item = stream->Next(milliseconds(10'000));
    ASSERT_TRUE(item.has_value());
    ASSERT_EQ(item->answer, 2u);
    ASSERT_EQ(std::get<TokenEvent>(item->what).index, i);
  }
  const auto end = stream->Next(milliseconds(10'000));
  scheduler.join();
  ASSERT_TRUE(end.has_value());
  EXPECT_FALSE(std::get<StreamEnd>(end->what).error.has_value());
  EXPECT_EQ(std::get<StreamEnd>(end->what).finish, FinishReason::kStop);
  EXPECT_EQ(std::get<StreamEnd>(end->what).stats.decode_s, 3);
  EXPECT_FALSE(*cancelled_);
}

TEST_F(TokenStreamTest, NextGivesUpInTime) {
  const auto stream = std::make_shared<TokenStream>(cancelled_);
  EXPECT_FALSE(stream->Next(milliseconds(1)).has_value());
}

TEST_F(TokenStreamTest, ErrorsComeAfterTheTokens) {
  const auto stream = std::make_shared<TokenStream>(cancelled_);
  const auto sink = stream->Sink(0);
  sink->OnToken(Token(0));
  sink->OnError({ErrorKind::kInternal, "broken", {}}, {});
  EXPECT_TRUE(std::holds_alternative<TokenEvent>(stream->Next(milliseconds(0))->what));
  EXPECT_EQ(std::get<StreamEnd>(stream->Next(milliseconds(0))->what).error->message, "broken");
}

// Whatever the scheduler then says, an answer with a hole is an error.
TEST_F(TokenStreamTest, AReaderThatFallsBehindIsCancelled) {
  for (const bool finishes : {false, true}) {
    *cancelled_ = false;
    const auto stream = std::make_shared<TokenStream>(cancelled_, 10'000);
    const auto sink = stream->Sink(0);
    size_t sent = 0;
    while (!*cancelled_ && sent < 1000) sink->OnToken(Token(sent++, std::string(100, 'x')));
    EXPECT_TRUE(*cancelled_);
    EXPECT_GT(sent, 10u);
    sink->OnToken(Token(sent));
    if (finishes) {
      sink->OnFinish(FinishReason::kLength, {});
    } else {
      sink->OnError({ErrorKind::kCancelled, "the request was cancelled", {}}, {});
    }
    size_t received = 0;
    auto item = stream->Next(milliseconds(0));
    for (; std::holds_alternative<TokenEvent>(item->what); item = stream->Next(milliseconds(0))) {
      EXPECT_EQ(std::get<TokenEvent>(item->what).index, received++);
    }
    EXPECT_EQ(received, sent - 1);
    ASSERT_TRUE(std::get<StreamEnd>(item->what).error.has_value());
    EXPECT_EQ(std::get<StreamEnd>(item->what).error->kind, ErrorKind::kCancelled);
    EXPECT_NE(std::get<StreamEnd>(item->what).error->message.find("slowly"), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep
