// Whether a picker of endpoints is told of prefix blocks, and where it listens.
#pragma once

#include <cstddef>
#include <string>

namespace lockstep {

struct KvEventSettings {
  // tcp://*:5557 and what else has a * or :: in it, or ipc://PATH, is listened on; any other, such
  // as tcp://picker:5557, is a subscriber that listens. Empty: nobody wants events.
  std::string endpoint;
  std::string replay_endpoint;   // listened on; empty: none
  std::string pod;               // the name of this server in the topic; empty: the host's
  bool several_keys = false;     // whose prompts are kept apart
  size_t buffer_steps = 10'000;  // batches that are kept for who missed them, at most
  size_t buffer_bytes = size_t{32} << 20;  // of these

  bool enabled() const { return !endpoint.empty(); }
};

// Whether events are sent to who connects to the address, or to one that is connected to.
bool IsListenedOn(const std::string& endpoint);

// Empty, or what is wrong with the addresses.
std::string CheckKvEvents(const KvEventSettings& settings);

}  // namespace lockstep
