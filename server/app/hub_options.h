// What the command line says about models by name, beside --model itself.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

struct HubOptions {
  std::string hf;                  // a hub's name, of which TakeHubName makes the model
  bool offline = false;            // nothing is fetched
  std::vector<std::string> names;  // to pull or to remove
};

}  // namespace lockstep
