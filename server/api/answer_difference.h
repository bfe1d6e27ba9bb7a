// Compares an answer as its client has it with the same answer made again, both as JSON of one
// dialect. Pure, safe from any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/json/json_text.h"

namespace lockstep {

struct AnswerDifference {
  std::string where;        // such as choices[0].message.content
  std::string given, made;  // the texts there; empty where there is none
  bool number = false;      // they name numbers, null or a part that one of the two has not
};

struct AnswerComparison {
  std::optional<AnswerDifference> difference;  // the first
  // Where `made` has thoughts and `given` has none: clients often keep the answer alone. Up to the
  // difference.
  std::vector<std::string> left_out;
};

// The first text of `given` that `made` has otherwise or not at all, or that what is said in `made`
// and `given` leaves out; likewise the first token's id, logprob or rank, or the seed, which
// `given` may leave out, and whatever differs in the arguments of a call. What is another one each
// time, or was when the answer was made, is passed over: ids of answers and calls, times, counts
// and who answered.
AnswerComparison CompareAnswers(const Json& given, const Json& made);

}  // namespace lockstep
