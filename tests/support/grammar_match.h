// Whether a whole text is one of a grammar's.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/grammar/automaton.h"

namespace lockstep {

inline bool Matches(const Grammar& grammar, std::string_view text) {
  GrammarAutomaton automaton(grammar);
  auto config = automaton.start();
  for (const char byte : text) {
    config = automaton.Next(config, static_cast<uint8_t>(byte));
    if (config == GrammarAutomaton::kDead) return false;
  }
  return automaton.complete(config);
}

}  // namespace lockstep
