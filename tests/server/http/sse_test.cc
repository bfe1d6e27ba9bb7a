#include "server/http/sse.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Sse, AcceptChoosesTheFraming) {
  for (const char* accept : {"", "*/*", "application/json", "text/html, text/plain"}) {
    EXPECT_EQ(ChooseStreamFormat(accept), StreamFormat::kNdjson) << accept;
  }
  for (const char* accept : {"text/event-stream", "text/html, Text/Event-Stream;q=0.9"}) {
    EXPECT_EQ(ChooseStreamFormat(accept), StreamFormat::kSse) << accept;
  }
}

TEST(Sse, Frames) {
  EXPECT_EQ(FrameEvent(StreamFormat::kNdjson, "{}"), "{}\n");
  EXPECT_EQ(FrameEvent(StreamFormat::kSse, "{}"), "data: {}\n\n");
  EXPECT_EQ(ContentType(StreamFormat::kNdjson), "application/x-ndjson");
  EXPECT_EQ(ContentType(StreamFormat::kSse), "text/event-stream; charset=utf-8");
}

}  // namespace
}  // namespace lockstep
