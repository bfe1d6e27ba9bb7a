// ZeroMQ itself says what is wrong with an address, but only once it is used, when the model has
// been loaded; what nobody can mean is found before that.
#include "server/events/kv_event_settings.h"

#include <fmt/format.h>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr char kTcp[] = "tcp://", kIpc[] = "ipc://";

bool IsAddress(const std::string& endpoint) {
  if (endpoint.starts_with(kIpc)) return endpoint.size() > sizeof kIpc - 1;
  const size_t port = endpoint.rfind(':');
  return endpoint.starts_with(kTcp) && port > sizeof kTcp - 1 && port + 1 < endpoint.size();
}

}  // namespace

std::string CheckKvEvents(const KvEventSettings& settings) {
  for (const auto& [flag, endpoint] : {std::pair("--kv-events", settings.endpoint),
                                       std::pair("--kv-events-replay", settings.replay_endpoint)}) {
    if (endpoint.empty() || IsAddress(endpoint)) continue;
    return fmt::format("{}: {} is no address such as tcp://*:5557 or ipc:///run/events", flag,
                       Quoted(endpoint, 80));
  }
  if (settings.enabled()) return {};
  if (!settings.replay_endpoint.empty())
    return "--kv-events-replay: there is nothing to replay without --kv-events";
  if (!settings.pod.empty())
    return "--kv-events-pod: it names events that nobody sends without --kv-events";
  return {};
}

}  // namespace lockstep
