// The digests are of what was computed, and not of texts: tokens say more than the text that they
// make, and a prompt's tokens have all that a chat template put into it.
#include "server/api/receipt.h"

#include <algorithm>

#include "core/base/digest.h"
#include "server/api/answer_json.h"
#include "server/api/request_digest.h"

namespace lockstep {

std::string HexDigest(const std::vector<int32_t>& tokens) {
  return Hex(TokensDigest({&tokens, 1}));
}

Json ReceiptJson(const GenerationService& service, const Generation& generation,
                 const Answer& answer) {
  const auto place = static_cast<size_t>(&answer - generation.answers().data());
  const size_t prompt = place / generation.request().best_of;
  return {{"system_fingerprint", service.model().fingerprint},
          {"seed", SeedJson(answer)},
          {"request", Hex(generation.request().digest)},
          {"prompt", HexDigest(generation.prompts()[prompt])},
          {"answer", HexDigest(answer.tokens)}};
}

Result<Receipt> ReadReceipt(const Json& json) {
  constexpr char kForm[] =
      "receipt must be an object with system_fingerprint, seed, request, prompt and answer, as it "
      "came with the answer";
  if (json.is_string()) {  // as the header has it
    const auto parsed = ParseStrictObject(json.get_ref<const std::string&>());
    return parsed ? ReadReceipt(*parsed) : Fail(ErrorKind::kInvalidArgument, kForm, "receipt");
  }
  if (!json.is_object()) return Fail(ErrorKind::kInvalidArgument, kForm, "receipt");
  Receipt receipt;
  const auto text = [&json](const char* name, std::string* out) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) return false;
    *out = found->get<std::string>();
    return true;
  };
  const auto seed = json.find("seed");
  if (seed == json.end() || !seed->is_number_integer() ||
      !text("system_fingerprint", &receipt.fingerprint) || !text("request", &receipt.request) ||
      !text("prompt", &receipt.prompt) || !text("answer", &receipt.answer)) {
    return Fail(ErrorKind::kInvalidArgument, kForm, "receipt");
  }
  // A negative seed is the same 64 bits.
  receipt.seed = seed->is_number_unsigned() ? seed->get<uint64_t>()
                                            : static_cast<uint64_t>(seed->get<int64_t>());
  return receipt;
}

}  // namespace lockstep
