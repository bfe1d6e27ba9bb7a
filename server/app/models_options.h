// What the command line says about several models under one parent.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace lockstep {

struct ModelsOptions {
  std::string folder;    // whose models are served, each by a process of its own; empty: one model
  std::string presets;   // file of models and of how each is served; empty: none
  std::string standard;  // the one for requests that name none; empty: the only one
  size_t most_loaded = 4;
  std::chrono::seconds load_timeout{600};  // that a request may wait for its model

  bool several() const { return !folder.empty() || !presets.empty(); }
};

// What a parent tells its child about the process that they share; -1: there is no parent.
struct ChildOptions {
  int listener = -1;  // the descriptor of a socket that listens already
  int ready = -1;     // the one of a pipe that gets a line once requests are answered
};

}  // namespace lockstep
