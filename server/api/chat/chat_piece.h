// What a piece of a model's answer amounts to. Plain structs.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/engine/thought.h"
#include "server/generation/call_form.h"

namespace lockstep {

// The parameters that are strings, for each tool by its name: forms that write these without quotes
// do not tell them from other values.
using StringParameters = std::map<std::string, std::set<std::string>>;

// How the answers to a prompt are to be read. Copies are cheap.
struct ChatForm {
  std::shared_ptr<const CallForm> calls;            // null: there are none
  std::shared_ptr<const StringParameters> strings;  // null where calls are
  ThoughtTags thought;
  bool harmony = false;    // parts with headers, whether or not there are calls
  std::string begun = {};  // the text that the prompt ends with, which the answer goes on with
  bool formatted = false;  // the answer is calls, or else of a format, in which none are looked for
};

struct ChatPiece {
  enum class Kind { kReasoning, kText, kCallBegin, kArguments, kCallEnd };
  Kind kind;
  std::string text;      // of kReasoning, kText and kArguments
  size_t call = 0;       // which one, of the last three
  std::string id, name;  // of kCallBegin
};

}  // namespace lockstep
