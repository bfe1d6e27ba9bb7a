// The request is read by its own dialect, so that the tokens are those that a generation would
// have, whatever field has a part in them.
#include "server/api/render_api.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <variant>
#include <vector>

#include "server/api/dialect.h"
#include "server/api/openai/chat.h"
#include "server/api/openai/completions.h"
#include "server/generation/prompt_tokens.h"

namespace lockstep {
namespace {

constexpr size_t kIdBytes = 8;  // of the reply's text for a token

// The objects of all prompts, with a comma between them.
Result<std::string> Render(const Dialect& dialect, const Json& body, ReadContext& context) {
  TRY(const DialectRequest request, dialect.read(body, context));
  std::string objects;
  for (const GenerateRequest::Prompt& prompt : request.generate.prompts) {
    if (const auto* const text = std::get_if<std::string>(&prompt)) {
      TRY_OK(context.memory.Grow(text->size() * Tokenizer::kEncodeBytes));
    }
    const std::vector<int32_t> ids = PromptTokens(context.service, request.generate, prompt);
    TRY_OK(context.memory.Grow(ids.size() * kIdBytes));
    if (!objects.empty()) objects += ",";
    objects += fmt::format(R"({{"token_ids":[{}]}})", fmt::join(ids, ","));
  }
  return objects;
}

}  // namespace

Result<std::string> AnswerRenderCompletions(const Json& body, ReadContext& context) {
  TRY(const std::string objects, Render(kOpenAiCompletions, body, context));
  return "[" + objects + "]";
}

Result<std::string> AnswerRenderChat(const Json& body, ReadContext& context) {
  return Render(kOpenAiChat, body, context);
}

}  // namespace lockstep
