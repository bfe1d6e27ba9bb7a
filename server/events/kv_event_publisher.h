// Tells who subscribes over ZeroMQ which prefix blocks come and go, as vLLM's ZmqEventPublisher
// does, from a thread of its own: a subscriber that is slow, dead or not there costs nothing but
// what it does not hear. A batch is three frames, topic, number and events (kv_event.h). Who missed
// some asks at a second address: an empty frame and the first number, to which the batches answer
// that are still there, each as it was behind an empty frame, and the number -1 with no events.
//
// What is sent has the tokens of prompts in it. Whoever reaches the address reads them.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/status.h"
#include "server/events/kv_event_queue.h"
#include "server/events/kv_event_settings.h"

namespace lockstep {

// What a publisher takes of memory at most: events that wait and are written, batches that are
// kept.
size_t KvEventBytes(const KvEventSettings& settings);

class KvEventPublisher {
 public:
  using Warn = std::function<void(const std::string& trouble, size_t events)>;

  // Takes the addresses. `model` is the name by which requests ask for it; topics are
  // kv@POD@MODEL. `warn` is told on the publisher's thread of events that were forgotten.
  // kUnavailable where an address cannot be had, kInvalidArgument where it is none.
  [[nodiscard]] static Result<std::unique_ptr<KvEventPublisher>> Start(KvEventSettings settings,
                                                                       const std::string& model,
                                                                       Warn warn);
  ~KvEventPublisher();
  KvEventPublisher(const KvEventPublisher&) = delete;
  KvEventPublisher& operator=(const KvEventPublisher&) = delete;

  PrefixObserver& observer() { return *queue_; }
  const std::string& topic() const { return topic_; }
  // What is listened on, or connected to: with the port where the system chose one.
  const std::string& endpoint() const { return endpoint_; }
  const std::string& replay_endpoint() const { return replay_endpoint_; }

 private:
  struct Close {
    void operator()(void* socket) const;
  };
  struct Terminate {
    void operator()(void* context) const;
  };
  using Context = std::unique_ptr<void, Terminate>;
  using Socket = std::unique_ptr<void, Close>;

  KvEventPublisher(KvEventSettings settings, std::string topic, Warn warn)
      : settings_(std::move(settings)), topic_(std::move(topic)), warn_(std::move(warn)) {}
  Status OpenSockets();
  Result<Socket> Open(int type, const char* flag, const std::string& endpoint,
                      std::string& address);
  void Loop();
  void Publish();
  void AnswerReplay();

  const KvEventSettings settings_;
  const std::string topic_;
  const Warn warn_;
  std::unique_ptr<KvEventQueue> queue_;
  Context context_;
  Socket publish_, replay_;  // the thread's, once it runs
  std::string endpoint_, replay_endpoint_;

  // Used by the publisher's thread alone.
  std::vector<KvEvent> events_;
  uint64_t next_ = 0;                // the number of the next batch
  std::deque<std::string> batches_;  // the last ones before it
  size_t batch_bytes_ = 0;           // in these

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace lockstep
