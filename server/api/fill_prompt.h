// Prompts that ask for what is missing between two texts, by the tokens that models were trained
// with for it (Bavarian et al., 2022), as llama-server makes them. Pure functions, safe from any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/generation/generation_service.h"

namespace lockstep {

struct FillText {
  std::string name, text;
};

// What an editor knows around a gap.
struct FillGap {
  std::string prefix, suffix;
  std::string begun;            // what the filling begins with
  std::vector<FillText> files;  // others of the repository, the nearest last
};

// kInvalidArgument, about the field `param`: the model's vocabulary has no tokens for gaps.
[[nodiscard]] Status CheckCanFill(const ServedModel& model, std::string_view param);

// [BOS] PREFIX prefix SUFFIX suffix MIDDLE, of a gap without files. Nothing is cut off.
// REQUIRES: CheckCanFill.
std::vector<int32_t> GapPrompt(const GenerationService& service, std::string_view prefix,
                               std::string_view suffix);

// Token for token the prompt of llama-server's /infill: the files before it, and all cut to what is
// near the gap: the prefix to 1,536 tokens, the suffix to what 512 leave, and the files to what the
// context leaves with an answer of `answer` tokens. `parse_special`: control tokens are recognised
// in what the filling begins with. REQUIRES: CheckCanFill.
std::vector<int32_t> InfillPrompt(const GenerationService& service, const FillGap& gap,
                                  size_t answer, bool parse_special);

}  // namespace lockstep
