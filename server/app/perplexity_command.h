// `lockstep perplexity`: how well a model predicts a text, as the usual figure.
//
// The text is cut into windows of `context` tokens that do not overlap, each evaluated on its own,
// with the BOS token in place of its first one if the tokenizer puts one before a text. Scored are
// the tokens of the second half, from context / 2 + 1 on: they have something to be predicted from.
#pragma once

#include <cstddef>
#include <string>

#include "server/app/model_command.h"

namespace lockstep {

struct PerplexityOptions : ModelOptions {
  std::string file;    // the text
  size_t context = 0;  // tokens of a window; 0: the model's, at most kPerplexityContext
  size_t chunks = 0;   // windows to evaluate; 0: all that the text fills
};

inline constexpr size_t kPerplexityContext = 512;

// Prints the estimate and its standard error to stdout and, window by window, how it goes to
// stderr. Returns the exit code: 2, with a line on stderr, if the model, the text or an option
// cannot be used.
int RunPerplexity(const PerplexityOptions& options);

}  // namespace lockstep
