// A subscriber that hears all, one that comes late and asks, and what is no question.
#include "server/events/kv_event_publisher.h"

#include <gmock/gmock.h>
#include <zmq.h>

#include <array>
#include <chrono>
#include <thread>

#include "core/base/digest.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Frames = std::vector<std::string>;

class KvEventPublisherTest : public testing::Test {
 protected:
  void SetUp() override { context_ = zmq_ctx_new(); }
  void TearDown() override {
    for (void* socket : sockets_) zmq_close(socket);
    zmq_ctx_term(context_);
  }
  static KvEventSettings Settings() {
    return {.endpoint = "tcp://127.0.0.1:*",
            .replay_endpoint = "tcp://127.0.0.1:*",
            .pod = "10.0.0.1:8080"};
  }
  void Start(const KvEventSettings& settings) {
    publisher_ = KvEventPublisher::Start(settings, "tales", [](const auto&, size_t) {}).value();
  }
  void* Connect(int type, const std::string& endpoint) {
    void* const socket = zmq_socket(context_, type);
    sockets_.push_back(socket);
    const int wait = 5'000, none = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    if (type == ZMQ_SUB) zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "kv@", 3);
    EXPECT_EQ(zmq_connect(socket, endpoint.c_str()), 0) << endpoint;
    return socket;
  }
  static Frames Receive(void* socket) {
    Frames frames;
    int more = 1;
    while (more != 0) {
      std::array<char, 4096> frame;
      const int bytes = zmq_recv(socket, frame.data(), frame.size(), 0);
      if (bytes < 0) return {};
      frames.emplace_back(frame.data(), static_cast<size_t>(bytes));
      size_t size = sizeof more;
      zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    }
    return frames;
  }
  static void Ask(void* socket, const Frames& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket, frames[i].data(), frames[i].size(), i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
  }
  // What comes back of a question, up to the end.
  static std::vector<Frames> Replay(void* socket, uint64_t start) {
    Ask(socket, {"", KvEventNumber(start)});
    std::vector<Frames> all;
    while (all.empty() || !all.back()[3].empty()) {
      all.push_back(Receive(socket));
      if (all.back().size() != 4) return {};
    }
    return all;
  }
  void Remove(uint8_t last) {
    BlockKey key{};
    key[31] = last;
    publisher_->observer().OnRemoved(key);
  }
  // As a batch of its own.
  void RemoveAlone(uint8_t last, void* replay) {
    const size_t before = Replay(replay, 0).size();
    Remove(last);
    while (Replay(replay, 0).size() == before) std::this_thread::yield();
  }
  static Json Events(const std::string& batch) { return Json::from_msgpack(batch)[1]; }

  std::unique_ptr<KvEventPublisher> publisher_;

 private:
  void* context_ = nullptr;
  std::vector<void*> sockets_;
};

TEST_F(KvEventPublisherTest, SendsTopicNumberAndEvents) {
  Start(Settings());
  EXPECT_EQ(publisher_->topic(), "kv@10.0.0.1:8080@tales");
  EXPECT_THAT(publisher_->endpoint(), testing::MatchesRegex("tcp://127.0.0.1:[0-9]+"));
  void* const subscriber = Connect(ZMQ_SUB, publisher_->endpoint());
  // Its connection takes a moment, in which nothing is sent to it.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  Remove(7);
  Frames frames = Receive(subscriber);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0], publisher_->topic());
  EXPECT_EQ(Hex(frames[1]), "0000000000000000");
  // What the picker remembers of a process before this one is no more.
  EXPECT_EQ(
      Events(frames[2]),
      Json::parse(R"([["AllBlocksCleared"], ["BlockRemoved", [9223372036854775815], null]])"));
  Remove(8);
  frames = Receive(subscriber);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(Hex(frames[1]), "0000000000000001");
  EXPECT_EQ(Events(frames[2]), Json::parse(R"([["BlockRemoved", [9223372036854775816], null]])"));
}

TEST_F(KvEventPublisherTest, AnswersWhoMissedSome) {
  Start(Settings());
  void* const replay = Connect(ZMQ_DEALER, publisher_->replay_endpoint());
  const Frames end = {"", publisher_->topic(), KvEventNumber(~uint64_t{0}), ""};
  EXPECT_THAT(Replay(replay, 0), testing::SizeIs(1));
  for (uint8_t i = 0; i < 3; ++i) RemoveAlone(i, replay);
  const auto all = Replay(replay, 0);
  ASSERT_EQ(all.size(), 4u);
  for (uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all[i][0], "");
    EXPECT_EQ(all[i][1], publisher_->topic());
    EXPECT_EQ(all[i][2], KvEventNumber(i));
    EXPECT_EQ(Events(all[i][3]).back()[1][0], (uint64_t{1} << 63) + i);
  }
  EXPECT_EQ(Replay(replay, 2).size(), 2u);
  EXPECT_EQ(Replay(replay, 3).size(), 1u);
}

TEST_F(KvEventPublisherTest, KeepsAsManyAsItIsTold) {
  KvEventSettings settings = Settings();
  settings.buffer_steps = 2;
  Start(settings);
  void* const replay = Connect(ZMQ_DEALER, publisher_->replay_endpoint());
  RemoveAlone(0, replay);
  RemoveAlone(1, replay);
  Remove(2);
  while (Replay(replay, 0).front()[2] != KvEventNumber(1)) std::this_thread::yield();
  EXPECT_EQ(Replay(replay, 0).size(), 3u);
}

TEST_F(KvEventPublisherTest, WhatIsNoQuestionGetsNoAnswer) {
  Start(Settings());
  void* const replay = Connect(ZMQ_DEALER, publisher_->replay_endpoint());
  Ask(replay, {"", "short"});
  Ask(replay, {KvEventNumber(0)});
  Ask(replay, {"", "", KvEventNumber(0)});
  Ask(replay, Frames(200, "frame"));
  EXPECT_EQ(Replay(replay, 0).size(), 1u);
}

TEST_F(KvEventPublisherTest, SaysWhyItDoesNotStart) {
  Start(Settings());
  KvEventSettings settings = Settings();
  settings.endpoint = "tcp://*" + publisher_->endpoint().substr(publisher_->endpoint().rfind(':'));
  const auto start = [](const KvEventSettings& of, const std::string& model) {
    return KvEventPublisher::Start(of, model, {}).error().message;
  };
  EXPECT_THAT(start(settings, "tales"), HasSubstr("--kv-events: \"tcp://*:"));
  EXPECT_THAT(start(settings, "tales"), HasSubstr("cannot be listened on: Address already in use"));
  EXPECT_THAT(start(Settings(), "a@b"), HasSubstr("kv@10.0.0.1:8080@a@b"));
}

TEST_F(KvEventPublisherTest, WithoutSubscribersAndWithEventsItEndsAtOnce) {
  Start(Settings());
  for (int i = 0; i < 50'000; ++i) Remove(static_cast<uint8_t>(i));
  publisher_.reset();
}

TEST_F(KvEventPublisherTest, ItsMemoryIsThatOfTheBuffers) {
  KvEventSettings settings = Settings();
  const size_t both = KvEventBytes(settings);
  settings.replay_endpoint.clear();
  EXPECT_EQ(KvEventBytes(settings) + settings.buffer_bytes, both);
  EXPECT_EQ(KvEventBytes({}), 0u);
}

}  // namespace
}  // namespace lockstep
