// The only door to jinja: what is thrown inside becomes an Error here. A template is parsed once,
// when its model loads, and run anew for each request; a run owns all that changes, so that
// requests share nothing but the immutable Program.
#include "core/jinja/chat_template.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/utf8.h"
#include "core/jinja/failure.h"
#include "core/jinja/parser.h"
#include "core/jinja/renderer.h"

namespace lockstep {

ChatTemplate::ChatTemplate(std::shared_ptr<const jinja::Program> program)
    : program_(std::move(program)) {}

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source) {
  if (!IsUtf8(source)) return Fail(ErrorKind::kBadFile, "the chat template is not UTF-8");
  try {
    auto program = std::make_shared<const jinja::Program>(jinja::Parser(source).Run());
    return ChatTemplate(std::move(program));
  } catch (const jinja::Failure& failure) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("line {} of the chat template: {}", failure.line, failure.message));
  }
}

Result<TrustedText> ChatTemplate::Render(const TemplateValue& variables,
                                         const TemplateLimits& limits) const {
  if (variables.AsDict() == nullptr) {
    return Fail(ErrorKind::kInternal, "a chat template's variables are a dict");
  }
  if (variables.Depth() > TemplateValue::kMaxDepth) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("messages or tools are nested more than {} deep; flatten them",
                            TemplateValue::kMaxDepth));
  }
  jinja::Renderer run(*program_, limits);
  try {
    return run.Run(*variables.AsDict());
  } catch (const jinja::Failure& failure) {
    if (failure.refusal) return tl::unexpected(*failure.refusal);
    if (failure.by_template) return Fail(ErrorKind::kInvalidArgument, failure.message);
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the chat template fails on this request at its line {}: {}",
                            run.line(), failure.message));
  }
}

}  // namespace lockstep
