// Bugs in what is fuzzed, one of each kind, to prove that the programs here see them. The linker
// puts these functions before the real ones (--wrap) in programs of tests alone; the environment
// chooses one, and without it nothing is wrong:
//   PLANTED_BUG=grammar    reads behind the text of a grammar with an empty class
//                    schema     does not end on a pattern with alternatives
//                    template   overflows an integer on a template with two tags in a row
//                    gguf       uses memory that it has freed, where a file is refused
//                    body       throws on a request with two fields
//                    http       takes a request that has two lengths
//                    tokenizer  loses the last word of a text with a tab
#include <algorithm>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/gguf/gguf_file.h"
#include "core/grammar/grammar.h"
#include "core/jinja/chat_template.h"
#include "core/tokenizer/pretokenizer.h"
#include "server/api/request_fields.h"
#include "server/http/request_reader.h"
#include "server/schema/json_pattern.h"

// Declares real_NAME, which is the function of that symbol, and planted_NAME, which is called in
// its place.
#define PLANTED(result, name, symbol, ...)               \
  result real_##name(__VA_ARGS__) asm("__real_" symbol); \
  result planted_##name(__VA_ARGS__) asm("__wrap_" symbol)

namespace lockstep {
namespace {

bool Planted(std::string_view bug) {
  static const char* const chosen = std::getenv("PLANTED_BUG");
  return chosen != nullptr && bug == chosen;
}

bool Has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

bool HasAlternatives(const PatternNode& node) {
  return (node.kind == PatternNode::Kind::kChoice && node.items.size() > 1) ||
         std::ranges::any_of(node.items, HasAlternatives);
}

volatile int sink;

}  // namespace

using Compiled = Result<std::shared_ptr<const Grammar>>;
PLANTED(Compiled, ParseGbnf,
        "_ZN8lockstep9ParseGbnfESt17basic_string_viewIcSt11char_traitsIcEES3_PNS_9WorkMeterE",
        std::string_view text, std::string_view root, WorkMeter* meter);
PLANTED(Result<Pattern>, ParsePattern,
        "_ZN8lockstep12ParsePatternESt17basic_string_viewIcSt11char_traitsIcEENS_"
        "14PatternAnchorsE",
        std::string_view text, PatternAnchors anchors);
PLANTED(Result<ChatTemplate>, ParseTemplate,
        "_ZN8lockstep12ChatTemplate5ParseESt17basic_string_viewIcSt11char_traitsIcEE",
        std::string_view source);
PLANTED(Result<GgufFile>, ParseGguf,
        "_ZN8lockstep8GgufFile5ParseESt4spanIKhLm18446744073709551615EENSt7__cxx1112basic_stringIc"
        "St11char_traitsIcESaIcEEE",
        std::span<const uint8_t> bytes, std::string name);
PLANTED(void, ReadSampling,
        "_ZN8lockstep12ReadSamplingERNS_11FieldReaderERKNS_11ReadContextERNS_15GenerateRequestE",
        FieldReader& fields, const ReadContext& context, GenerateRequest& request);
PLANTED(void, Feed, "_ZN8lockstep13RequestReader4FeedESt17basic_string_viewIcSt11char_traitsIcEE",
        RequestReader* reader, std::string_view bytes);
PLANTED(std::vector<std::string_view>, Split,
        "_ZNK8lockstep12Pretokenizer5SplitESt17basic_string_viewIcSt11char_traitsIcEE",
        const Pretokenizer* pretokenizer, std::string_view text);

Compiled planted_ParseGbnf(std::string_view text, std::string_view root, WorkMeter* meter) {
  if (Planted("grammar") && Has(text, "[]")) {
    const std::unique_ptr<char[]> copy(new char[text.size()]);
    sink = const_cast<volatile char*>(copy.get())[text.size()];
  }
  return real_ParseGbnf(text, root, meter);
}

Result<Pattern> planted_ParsePattern(std::string_view text, PatternAnchors anchors) {
  auto pattern = real_ParsePattern(text, anchors);
  while (Planted("schema") && pattern && HasAlternatives(pattern->node)) sink = sink ^ 1;
  return pattern;
}

Result<ChatTemplate> planted_ParseTemplate(std::string_view source) {
  const volatile int most = INT_MAX;
  if (Planted("template") && Has(source, "%}{%")) sink = most + static_cast<int>(source.size());
  return real_ParseTemplate(source);
}

Result<GgufFile> planted_ParseGguf(std::span<const uint8_t> bytes, std::string name) {
  auto file = real_ParseGguf(bytes, std::move(name));
  if (Planted("gguf") && !file) {
    auto* const gone = new std::string(file.error().message);
    delete gone;
    sink = *reinterpret_cast<volatile char*>(gone);
  }
  return file;
}

void planted_ReadSampling(FieldReader& fields, const ReadContext& context,
                          GenerateRequest& request) {
  if (Planted("body") && fields.Has("min_p") && fields.Has("top_k")) {
    throw std::logic_error("planted");
  }
  real_ReadSampling(fields, context, request);
}

void planted_Feed(RequestReader* reader, std::string_view bytes) {
  std::string changed(bytes);
  const size_t coding = changed.find("Transfer-Encoding:");
  if (Planted("http") && coding != changed.npos && Has(changed, "Content-Length:")) {
    changed[coding] = 'X';
  }
  real_Feed(reader, changed);
}

std::vector<std::string_view> planted_Split(const Pretokenizer* pretokenizer,
                                            std::string_view text) {
  auto words = real_Split(pretokenizer, text);
  if (Planted("tokenizer") && Has(text, "\t")) words.pop_back();
  return words;
}

}  // namespace lockstep
