// Checked before a request is queued, so that it is refused at once and not when its turn comes.
#include "core/engine/generation_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lockstep {
namespace {

Status CheckTokens(std::span<const int32_t> tokens, size_t vocab) {
  for (const int32_t token : tokens) {
    if (token < 0 || static_cast<size_t>(token) >= vocab) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("prompt has token {}, but the vocabulary has the tokens 0 to {}",
                              token, vocab - 1),
                  "prompt");
    }
  }
  return {};
}

}  // namespace

Status CheckGeneration(std::span<const int32_t> prompt, const GenerationOptions& options,
                       size_t vocab, size_t context) {
  if (prompt.empty()) {
    return Fail(ErrorKind::kInvalidArgument, "prompt is empty; give at least one token", "prompt");
  }
  TRY_OK(CheckTokens(prompt, vocab));
  if (options.max_tokens == 0 && options.prompt_logprobs < 0) {
    return Fail(ErrorKind::kInvalidArgument, "max_tokens is 0; ask for at least one token",
                "max_tokens");
  }
  for (const auto& [token, bias] : options.sampling.logit_bias) {
    if (token < 0 || static_cast<size_t>(token) >= vocab || !std::isfinite(bias)) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("logit_bias of token {} is {}; give finite numbers to tokens 0 to {}",
                              token, bias, vocab - 1),
                  "logit_bias");
    }
  }
  for (const int32_t token : options.thought.close) {
    if (token < 0 || static_cast<size_t>(token) >= vocab) {
      return Fail(ErrorKind::kInvalidArgument, "the closing tag is one of another model");
    }
  }
  for (const std::vector<int32_t>& sequence : options.bans.sequences) {
    if (sequence.empty()) return Fail(ErrorKind::kInvalidArgument, "a banned sequence is empty");
  }
  if (options.grammar != nullptr && options.grammar->vocabulary().size() != vocab) {
    return Fail(ErrorKind::kInvalidArgument, "grammar is one of another model", "grammar");
  }
  if (std::ranges::any_of(options.stop, &std::string::empty)) {
    return Fail(ErrorKind::kInvalidArgument, "stop has an empty string", "stop");
  }
  const size_t room = options.max_tokens == 0 ? context : context - 1;
  if (prompt.size() > room) {
    return Fail(ErrorKind::kContextExceeded,
                fmt::format("prompt has {} tokens, but the context of {} leaves room for {}; "
                            "shorten the prompt",
                            prompt.size(), context, room),
                "prompt");
  }
  return {};
}

}  // namespace lockstep
