// What a client says that it was answered with, as the body of POST /verify has it, and how that is
// made again: an answer may have several, of which each has a prompt and a seed of its own.
// Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/api/receipt.h"
#include "server/generation/generation.h"
#include "server/json/json_text.h"

namespace lockstep {

// One of an answer's choices, or all that there is.
struct ClaimedChoice {
  std::optional<Receipt> receipt;
  std::optional<std::vector<int32_t>> tokens;
  std::optional<uint64_t> said_seed;  // beside its text
  size_t place = 0;                   // among all that the request is answered with
  bool placed = false;                // by itself, and not by where it stands
  size_t prompt = 0;                  // of the request, and the seed; ChooseAnswers sets them
  uint64_t seed = 0;
};

struct Claim {
  std::vector<ClaimedChoice> choices;  // one or more
  std::optional<std::string> text;     // of the first
  Json answer;                         // those choices as they came; null: they did not
  std::string list;                    // where they stand in it: "choices", or itself if empty
  std::vector<std::string> left_out;   // of the answer, as nothing says how it was made

  bool empty() const;
  bool HasReceipt() const;
};

// `index` of the body leaves one choice of several.
[[nodiscard]] Result<Claim> ReadClaim(const Json& body, size_t vocab);

// Why a claim cannot be true, before anything is made.
struct ClaimDifference {
  std::string_view what;  // of VerifyAnswer's differs
  std::string message;
};

// Sets each choice's prompt and seed, by which it is made again by itself. Where only the request
// as it is makes what was chosen among more answers, *whole is set: the choices are among all of
// its answer then, each at its place, and request.options.sampling.seed is the first one's. What
// nothing says how to make is taken out of the claim. REQUIRES: there is a receipt, or the request
// has a seed, or leaves nothing to chance.
[[nodiscard]] std::optional<ClaimDifference> ChooseAnswers(const GenerationService& service,
                                                           Claim& claim, GenerateRequest& request,
                                                           bool* whole);

// The answer with one of its choices alone, as it comes where that one is made by itself.
Json WithOneChoice(const Claim& claim, size_t choice);

}  // namespace lockstep
