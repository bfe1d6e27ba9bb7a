// ZeroMQ drops what a subscriber's queue of kHighWater messages has no room for, and sends to
// nobody where there is none; both sockets are used by one thread, as it demands. The first batch
// of a process begins with "everything is cleared", because the picker may remember what a process
// before it had.
#include "server/events/kv_event_publisher.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <string_view>
#include <utility>

#include "core/base/quoted.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

// Batches, of which a large prompt's has 100 kB: who is further behind asks for them.
constexpr int kHighWater = 1'000;
// So many bytes of a frame of others are read: it is a topic to subscribe to, or a number.
constexpr int64_t kMaxMessage = 1024;
constexpr uint64_t kEndOfReplay = ~uint64_t{0};

// Whether the address is one of IPv4, in digits; a name may have addresses of either kind.
bool IsIpv4(const std::string& endpoint) {
  constexpr std::string_view kTcp = "tcp://";
  return endpoint.starts_with(kTcp) && endpoint.size() > kTcp.size() &&
         endpoint[kTcp.size()] >= '0' && endpoint[kTcp.size()] <= '9';
}

// The name of the machine, which in a pod is the pod's own.
std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "lockstep";
}

template <class Number>
void SetOption(void* socket, int option, Number number) {
  zmq_setsockopt(socket, option, &number, sizeof number);
}

// What cannot be sent is dropped, as a whole.
template <size_t kFrames>
void Send(void* socket, const std::array<std::string_view, kFrames>& frames) {
  for (size_t i = 0; i < kFrames; ++i) {
    const int more = i + 1 < kFrames ? ZMQ_SNDMORE : 0;
    if (zmq_send(socket, frames[i].data(), frames[i].size(), more | ZMQ_DONTWAIT) < 0) return;
  }
}

// The frames of a message that waits, of which there may be any number; four are enough.
std::vector<std::string> Receive(void* socket) {
  std::vector<std::string> frames;
  int more = 1;
  while (more != 0) {
    std::array<char, kMaxMessage> frame;
    const int bytes = zmq_recv(socket, frame.data(), frame.size(), ZMQ_DONTWAIT);
    if (bytes < 0) return {};
    const size_t kept = std::min(frame.size(), static_cast<size_t>(bytes));
    if (frames.size() <= 3) frames.emplace_back(frame.data(), kept);
    size_t size = sizeof more;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
  }
  return frames;
}

}  // namespace

size_t KvEventBytes(const KvEventSettings& settings) {
  if (!settings.enabled()) return 0;
  // Those that come and those that are sent, each as it waits and as JSON.
  constexpr size_t kEvent = sizeof(KvEvent) + PrefixStore::kBlock * sizeof(Json);
  return 2 * KvEventQueue::kRoom * kEvent +
         (settings.replay_endpoint.empty() ? 0 : settings.buffer_bytes);
}

void KvEventPublisher::Close::operator()(void* socket) const { zmq_close(socket); }
void KvEventPublisher::Terminate::operator()(void* context) const { zmq_ctx_term(context); }

Result<std::unique_ptr<KvEventPublisher>> KvEventPublisher::Start(KvEventSettings settings,
                                                                  const std::string& model,
                                                                  Warn warn) {
  const std::string pod = settings.pod.empty() ? HostName() : settings.pod;
  std::string topic = fmt::format("kv@{}@{}", pod, model);
  if (std::ranges::count(topic, '@') != 2) {
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("--kv-events: the topic {} has an @ in the name of the server or of the "
                    "model, which a picker takes for an end; give others with "
                    "--kv-events-pod and --model-alias",
                    Quoted(topic, 200)));
  }
  std::unique_ptr<KvEventPublisher> publisher(
      new KvEventPublisher(std::move(settings), std::move(topic), std::move(warn)));
  TRY(publisher->queue_, KvEventQueue::Create());
  TRY_OK(publisher->OpenSockets());
  publisher->thread_ = std::thread([&loop = *publisher] { loop.Loop(); });
  return publisher;
}

KvEventPublisher::~KvEventPublisher() {
  if (!thread_.joinable()) return;
  stop_ = true;
  queue_->Wake();
  thread_.join();
}

Status KvEventPublisher::OpenSockets() {
  context_.reset(zmq_ctx_new());
  if (context_ == nullptr)
    return Fail(ErrorKind::kUnavailable, "--kv-events: ZeroMQ does not start");
  TRY(publish_, Open(ZMQ_PUB, "--kv-events", settings_.endpoint, endpoint_));
  if (settings_.replay_endpoint.empty()) return {};
  TRY(replay_, Open(ZMQ_ROUTER, "--kv-events-replay", settings_.replay_endpoint, replay_endpoint_));
  return {};
}

Result<KvEventPublisher::Socket> KvEventPublisher::Open(int type, const char* flag,
                                                        const std::string& endpoint,
                                                        std::string& address) {
  Socket socket(zmq_socket(context_.get(), type));
  const bool listens = type == ZMQ_ROUTER || IsListenedOn(endpoint);
  int result = -1;
  if (socket != nullptr) {
    SetOption(socket.get(), ZMQ_LINGER, 0);
    // Where the machine has none, * is every address of IPv4 alone.
    SetOption(socket.get(), ZMQ_IPV6, IsIpv4(endpoint) ? 0 : 1);
    // An answer is as many messages as there are batches, and one more. There is room for it though
    // half of the queue may seem full: what was read is told in such portions.
    const auto answers = static_cast<int>(2 * (settings_.buffer_steps + 1));
    SetOption(socket.get(), ZMQ_SNDHWM, type == ZMQ_ROUTER ? answers : kHighWater);
    SetOption(socket.get(), ZMQ_MAXMSGSIZE, kMaxMessage);
    result = listens ? zmq_bind(socket.get(), endpoint.c_str())
                     : zmq_connect(socket.get(), endpoint.c_str());
  }
  if (result != 0) {
    const int error = zmq_errno();
    return Fail(error == EINVAL ? ErrorKind::kInvalidArgument : ErrorKind::kUnavailable,
                fmt::format("{}: {} cannot be {}: {}", flag, Quoted(endpoint, 80),
                            listens ? "listened on" : "connected to", zmq_strerror(error)));
  }
  std::array<char, 512> last;
  size_t size = last.size();
  const bool known =
      listens && zmq_getsockopt(socket.get(), ZMQ_LAST_ENDPOINT, last.data(), &size) == 0;
  address = known ? std::string(last.data()) : endpoint;
  return socket;
}

void KvEventPublisher::Loop() {
  std::array<zmq_pollitem_t, 2> items{
      {{nullptr, queue_->wake(), ZMQ_POLLIN, 0}, {replay_.get(), 0, ZMQ_POLLIN, 0}}};
  while (!stop_) {
    if (zmq_poll(items.data(), replay_ != nullptr ? 2 : 1, -1) < 0) continue;
    try {
      if (items[0].revents != 0) Publish();
    } catch (const std::exception&) {  // no memory
      batches_.clear();
      batch_bytes_ = 0;
      queue_->Clear();
    }
    try {
      if (replay_ != nullptr && items[1].revents != 0) AnswerReplay();
    } catch (const std::exception&) {  // who asked asks again
    }
  }
}

void KvEventPublisher::Publish() {
  if (const size_t forgotten = queue_->Take(events_); forgotten > 0) {
    warn_("events of the prefix cache came faster than they are sent", forgotten);
  }
  if (events_.empty()) return;
  if (next_ == 0) events_.insert(events_.begin(), KvEvent{});  // "everything is cleared"
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  std::string batch = KvEventBatch(now.count(), events_, settings_.several_keys);
  Send<3>(publish_.get(), {topic_, KvEventNumber(next_), batch});
  if (replay_ != nullptr) {
    batch_bytes_ += batch.size();
    batches_.push_back(std::move(batch));
  }
  ++next_;
  while (batches_.size() > settings_.buffer_steps || batch_bytes_ > settings_.buffer_bytes) {
    batch_bytes_ -= batches_.front().size();
    batches_.pop_front();
  }
}

void KvEventPublisher::AnswerReplay() {
  const std::vector<std::string> frames = Receive(replay_.get());
  // Whose it is, an empty frame, a number.
  if (frames.size() != 3 || !frames[1].empty() || frames[2].size() != 8) return;
  uint64_t start = 0;
  for (const char byte : frames[2]) start = start << 8 | static_cast<uint8_t>(byte);
  const uint64_t first = next_ - batches_.size();
  for (uint64_t number = std::max(first, start); number < next_; ++number) {
    Send<5>(replay_.get(),
            {frames[0], "", topic_, KvEventNumber(number), batches_[number - first]});
  }
  Send<5>(replay_.get(), {frames[0], "", topic_, KvEventNumber(kEndOfReplay), ""});
}

}  // namespace lockstep
