// The arguments of a call, from the form in which a model writes them to the JSON that clients
// read. A reader belongs to one call and is used by one thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/chat/chat_piece.h"
#include "server/generation/call_form.h"

namespace lockstep {

class ArgumentReader {
 public:
  // `form` must outlive it. `strings`: the parameters that are strings.
  ArgumentReader(const CallForm& form, std::set<std::string> strings)
      : form_(form), strings_(std::move(strings)) {}

  // Takes what it can from the front of *held, and adds what it amounts to to *json. True once the
  // arguments are whole: *held then begins with what comes behind them.
  bool Read(std::string* held, std::string* json);
  // Reads into the pieces of the call of that number, and of its end.
  bool Read(size_t call, std::string* held, std::vector<ChatPiece>* pieces);

 private:
  bool ReadJson(std::string* held, std::string* json);
  bool ReadTagged(std::string* held, std::string* json);
  bool ReadValue(std::string* held, std::string* json);
  bool ReadNamed(std::string* held, std::string* json);
  void BeginArgument(std::string_view key, std::string* json);

  const CallForm& form_;
  const std::set<std::string> strings_;
  size_t arguments_ = 0;  // begun so far
  // For JSON that is passed on: how deep it is, and whether in a string.
  size_t depth_ = 0;
  bool in_text_ = false, escaped_ = false;
  // For a tagged parameter.
  bool in_value_ = false, is_string_ = false;
};

// A value as Python or Gemma write it, as JSON: 'a' and <|"|>a<|"|> are "a", True is true, keys
// need no quotes. What is no value is a string.
std::string ValueToJson(std::string_view text);

}  // namespace lockstep
