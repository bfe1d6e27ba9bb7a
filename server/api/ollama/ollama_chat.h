// POST /api/chat: an answer in a conversation. Pure functions, safe from any thread.
#pragma once

#include "server/api/dialect.h"

namespace lockstep {

extern const Dialect kOllamaChat;

}  // namespace lockstep
