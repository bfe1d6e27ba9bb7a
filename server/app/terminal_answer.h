// An answer in a terminal: written as it comes, and ended by Ctrl-C without losing what came. For
// one thread.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "server/app/local_client.h"

namespace lockstep {

// From now on Ctrl-C ends the answer that is written, and does nothing else.
void CatchInterrupts();

struct WrittenAnswer {
  std::string text, thought;  // as they came, without styles
  AskOutcome outcome;
};

// Asks, and writes to stdout: for a person the thoughts, too, and with styles where the terminal
// has them; else the answer's text alone. A terminal is never given a model's control characters.
WrittenAnswer WriteAnswer(LocalClient& client, std::string_view path, const Json& body,
                          bool for_person);

// "63 tokens, 45 tokens/s, ended by itself".
std::string Summary(const AskOutcome& outcome, size_t context);

}  // namespace lockstep
