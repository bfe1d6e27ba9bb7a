// What comes with an answer, so that anyone with the model's file can check it later, on any
// machine:
//   {"system_fingerprint", "seed", "request": RequestDigest, "prompt": the digest of its tokens,
//    "answer": that of the answer's}
// in hex. It is a promise of arithmetic and no signature: whoever makes an answer up can make its
// receipt up, but neither passes POST /verify. Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "server/generation/generation.h"
#include "server/json/json_text.h"

namespace lockstep {

struct Receipt {
  std::string fingerprint;
  uint64_t seed = 0;
  std::string request, prompt, answer;  // digests, in hex
};

// The receipt for one of a generation's answers, once it has ended.
Json ReceiptJson(const GenerationService& service, const Generation& generation,
                 const Answer& answer);
// kInvalidArgument where it has not this form.
[[nodiscard]] Result<Receipt> ReadReceipt(const Json& json);
// The digest of one list of tokens, in hex.
std::string HexDigest(const std::vector<int32_t>& tokens);

}  // namespace lockstep
