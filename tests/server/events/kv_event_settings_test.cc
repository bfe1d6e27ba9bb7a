#include "server/events/kv_event_settings.h"

#include <gmock/gmock.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(KvEventSettings, TakesWhatZeroMqUnderstands) {
  EXPECT_EQ(CheckKvEvents({}), "");
  for (const char* endpoint : {"tcp://*:5557", "tcp://picker:5557", "tcp://[::1]:5557",
                               "tcp://127.0.0.1:*", "ipc:///run/events"}) {
    EXPECT_EQ(CheckKvEvents({.endpoint = endpoint, .replay_endpoint = endpoint, .pod = "a"}), "");
  }
}

TEST(KvEventSettings, NamesTheFlagThatIsWrong) {
  for (const char* endpoint :
       {"5557", "*:5557", "tcp://*", "tcp://*:", "tcp://:5557", "ipc://", "udp://*:1"}) {
    EXPECT_THAT(CheckKvEvents({.endpoint = endpoint, .replay_endpoint = {}, .pod = {}}),
                HasSubstr("--kv-events: \""))
        << endpoint;
  }
  EXPECT_THAT(CheckKvEvents({.endpoint = "tcp://*:1", .replay_endpoint = "x", .pod = {}}),
              HasSubstr("--kv-events-replay: \"x\""));
  EXPECT_THAT(CheckKvEvents({.endpoint = {}, .replay_endpoint = "tcp://*:1", .pod = {}}),
              HasSubstr("--kv-events-replay"));
  EXPECT_THAT(CheckKvEvents({.endpoint = {}, .replay_endpoint = {}, .pod = "a"}),
              HasSubstr("--kv-events-pod"));
}

}  // namespace
}  // namespace lockstep
