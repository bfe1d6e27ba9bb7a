// ZeroMQ itself says what is wrong with an address, but only once it is used, when the model has
// been loaded; what nobody can mean is found before that.
#include "server/events/kv_event_settings.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr char kTcp[] = "tcp://", kIpc[] = "ipc://";

// ZeroMQ takes any number, and of it what is left modulo 65536. A * is a port that is free.
bool IsPort(std::string_view text) {
  size_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, port);
  return text == "*" || (error == std::errc() && read == end && port >= 1 && port <= 65535);
}

bool IsAddress(const std::string& endpoint) {
  if (endpoint.starts_with(kIpc)) return endpoint.size() > sizeof kIpc - 1;
  const size_t colon = endpoint.rfind(':');
  return endpoint.starts_with(kTcp) && colon > sizeof kTcp - 1 &&
         endpoint.find('/', sizeof kTcp - 1) == endpoint.npos &&
         IsPort(std::string_view(endpoint).substr(colon + 1));
}

}  // namespace

bool IsListenedOn(const std::string& endpoint) {
  return endpoint.find('*') != endpoint.npos || endpoint.find("::") != endpoint.npos ||
         endpoint.starts_with("ipc://");
}

std::string CheckKvEvents(const KvEventSettings& settings) {
  for (const auto& [flag, endpoint] : {std::pair("--kv-events", settings.endpoint),
                                       std::pair("--kv-events-replay", settings.replay_endpoint)}) {
    if (endpoint.empty() || IsAddress(endpoint)) continue;
    return fmt::format(
        "{}: {} is no address such as tcp://*:5557, with a port from 1 to "
        "65535, or ipc:///run/events",
        flag, Quoted(endpoint, 80));
  }
  const bool same = settings.enabled() && settings.endpoint == settings.replay_endpoint;
  if (same && !settings.endpoint.ends_with(":*")) {
    return fmt::format(
        "--kv-events-replay: {} is the address of --kv-events; give it one of its own",
        Quoted(settings.replay_endpoint, 80));
  }
  if (settings.enabled()) return {};
  if (!settings.replay_endpoint.empty())
    return "--kv-events-replay: there is nothing to replay without --kv-events";
  if (!settings.pod.empty())
    return "--kv-events-pod: it names events that nobody sends without --kv-events";
  return {};
}

}  // namespace lockstep
