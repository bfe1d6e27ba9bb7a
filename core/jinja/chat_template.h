// A model's chat template: makes the prompt of a conversation's messages. The language is the
// Jinja that Hugging Face's tokenizers run, with their settings and functions (trim_blocks,
// lstrip_blocks, break and continue, tojson, raise_exception, strftime_now, {% generation %}), and
// from_json. Immutable once parsed: any number of threads may render it at once.
#pragma once

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/base/trusted_text.h"
#include "core/jinja/budget.h"
#include "core/jinja/value.h"

namespace lockstep {

namespace jinja {
struct Program;
}

class ChatTemplate {
 public:
  // kBadFile names the line and what is wrong there.
  [[nodiscard]] static Result<ChatTemplate> Parse(std::string_view source);

  // `variables` is a dict: messages, tools, add_generation_prompt, bos_token and so on.
  // Trusted is what the template itself wrote, and every TemplateValue::TrustedString; what came
  // from messages and tools is not, whatever filters it went through. kInvalidArgument carries the
  // template's own words where it calls raise_exception, or says at which line it failed or ran out
  // of `limits`; what limits.memory refuses, it refuses as MemoryBudget does.
  [[nodiscard]] Result<TrustedText> Render(const TemplateValue& variables,
                                           const TemplateLimits& limits = {}) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const jinja::Program> program);

  std::shared_ptr<const jinja::Program> program_;
};

}  // namespace lockstep
