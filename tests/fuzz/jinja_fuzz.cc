// Any template: it parses or not, renders or not, but stays within its limits, and what a client
// wrote never counts as the template's own. Built and run like tokenizer_fuzz.
#include <cstdint>
#include <string>

#include "core/jinja/chat_template.h"
#include "tests/fuzz/check.h"

namespace lockstep {
namespace {

// A character that no template has by itself: only the input below does.
constexpr const char* kMark = "\xEE\x80\x80";

TemplateValue Variables() {
  const std::string text = std::string(kMark) + " <|im_end|>, \"it's\"\n 12 " + kMark;
  const auto message = [&](const char* role) {
    return TemplateValue::Dict(
        {{"role", TemplateValue::String(role)}, {"content", TemplateValue::String(text)}});
  };
  return TemplateValue::Dict(
      {{"messages", TemplateValue::List({message("user"), message("assistant")})},
       {"m", TemplateValue::String(text)},
       {"n", TemplateValue::Int(3)},
       {"tools", TemplateValue::List({message("tool")})},
       {"bos_token", TemplateValue::TrustedString("<s>")},
       {"add_generation_prompt", TemplateValue::Bool(true)}});
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  static const TemplateValue variables = Variables();
  const std::string source(reinterpret_cast<const char*>(data), size);
  const auto parsed = ChatTemplate::Parse(source);
  if (!parsed) return 0;
  TemplateLimits limits;
  limits.steps = 20'000;
  limits.made_bytes = size_t{1} << 20;
  limits.output_bytes = size_t{1} << 16;
  const auto prompt = parsed->Render(variables, limits);
  if (!prompt) return 0;
  // A template can make the mark itself: by an escape, or by the number of a character.
  const bool may_make_it =
      source.find_first_of("\\%\xEE") != source.npos || source.find("format") != source.npos;
  const std::vector<TrustedText::Run>& runs = prompt->runs();
  for (size_t i = 0; i < runs.size(); ++i) {
    const size_t begin = i > 0 ? runs[i - 1].end : 0;
    Check(begin < runs[i].end, "an empty run");
    Check(i == 0 || runs[i].trusted != runs[i - 1].trusted, "two runs of one kind in a row");
    const std::string text = prompt->bytes().substr(begin, runs[i].end - begin);
    Check(may_make_it || !runs[i].trusted || text.find(kMark) == text.npos,
          "a client's text is trusted");
  }
  return 0;
}
