// A prompt is cut at its front, whether it came as text or as tokens.
#include "server/generation/prompt_tokens.h"

namespace lockstep {
namespace {

std::vector<int32_t> Whole(const GenerationService& service, const GenerateRequest& request,
                           const GenerateRequest::Prompt& prompt) {
  if (const auto* const ids = std::get_if<std::vector<int32_t>>(&prompt)) return *ids;
  const std::string& text = std::get<std::string>(prompt);
  if (request.add_special && !request.parse_special) return service.Encode(text);
  return service.Encode(text, request.add_special,
                        request.parse_special ? SpecialTokens::kParse : SpecialTokens::kAsText);
}

}  // namespace

std::vector<int32_t> PromptTokens(const GenerationService& service, const GenerateRequest& request,
                                  const GenerateRequest::Prompt& prompt) {
  std::vector<int32_t> tokens = Whole(service, request, prompt);
  if (request.keep_prompt > 0 && tokens.size() > request.keep_prompt) {
    tokens.erase(tokens.begin(), tokens.end() - static_cast<ptrdiff_t>(request.keep_prompt));
  }
  return tokens;
}

}  // namespace lockstep
