#include "server/events/kv_event_settings.h"

#include <gmock/gmock.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(KvEventSettings, TakesWhatZeroMqUnderstands) {
  EXPECT_EQ(CheckKvEvents({}), "");
  for (const char* endpoint : {"tcp://*:5557", "tcp://picker:5557", "tcp://[::1]:5557",
                               "tcp://127.0.0.1:*", "ipc:///run/events"}) {
    EXPECT_EQ(CheckKvEvents({.endpoint = endpoint, .replay_endpoint = "tcp://*:1", .pod = "a"}),
              "");
    EXPECT_EQ(CheckKvEvents({.endpoint = "tcp://*:65535", .replay_endpoint = endpoint, .pod = "a"}),
              "");
  }
  const std::string any = "tcp://127.0.0.1:*";  // two of them are two ports
  EXPECT_EQ(CheckKvEvents({.endpoint = any, .replay_endpoint = any, .pod = {}}), "");
}

TEST(KvEventSettings, AWildcardIsListenedOn) {
  for (const char* endpoint :
       {"tcp://*:5557", "tcp://[::]:5557", "tcp://127.0.0.1:*", "ipc:///a"}) {
    EXPECT_TRUE(IsListenedOn(endpoint)) << endpoint;
  }
  EXPECT_FALSE(IsListenedOn("tcp://127.0.0.1:5557"));
  EXPECT_FALSE(IsListenedOn("tcp://picker:5557"));
}

TEST(KvEventSettings, OneAddressIsNotForBoth) {
  const std::string one = "tcp://*:5557";
  EXPECT_THAT(CheckKvEvents({.endpoint = one, .replay_endpoint = one, .pod = {}}),
              HasSubstr("--kv-events-replay: \"tcp://*:5557\" is the address of --kv-events"));
}

TEST(KvEventSettings, NamesTheFlagThatIsWrong) {
  for (const char* endpoint :
       {"5557", "*:5557", "tcp://*", "tcp://*:", "tcp://:5557", "ipc://", "udp://*:1", "tcp://*:0",
        "tcp://*:-1", "tcp://*:65536", "tcp://*:99999", "tcp://127.0.0.1:70000", "tcp://*:5557/foo",
        "tcp://*:55x", "tcp://a/b:5557"}) {
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
