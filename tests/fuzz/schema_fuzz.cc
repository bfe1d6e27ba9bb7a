// Any JSON as a schema: what is compiled matches JSON alone, of the type that the schema asks for,
// and what is not is refused with a reason. Built and run like gbnf_fuzz.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/grammar/automaton.h"
#include "server/json/json_set.h"
#include "server/schema/json_schema.h"
#include "tests/fuzz/check.h"

namespace lockstep {
namespace {

// Whatever is found by trying must be found in a second.
constexpr uint64_t kMostWork = 32 * WorkMeter::kSlice;
constexpr size_t kMostBytes = 400, kMostHeads = 2000;

// A text of the grammar, its bytes drawn from `seed`; empty if none was found soon enough.
std::string TextOf(const Grammar& grammar, uint64_t seed) {
  GrammarAutomaton automaton(grammar);
  auto at = automaton.start();
  std::string text;
  while (text.size() < kMostBytes && automaton.heads(at) < kMostHeads) {
    if (automaton.complete(at) && (automaton.heads(at) == 0 || seed % 4 == 0)) return text;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const size_t first = seed >> 56;
    auto next = GrammarAutomaton::kDead;
    for (size_t i = 0; i < 256 && next == GrammarAutomaton::kDead; ++i) {
      const auto byte = static_cast<uint8_t>(first + i);
      // What ends a value is tried more often, so that texts end.
      const uint8_t tried = i == 0 && seed >> 40 & 1 ? '"' : i == 1 ? '}' : i == 2 ? ']' : byte;
      next = automaton.Next(at, tried);
      if (next != GrammarAutomaton::kDead) text += static_cast<char>(tried);
    }
    if (next == GrammarAutomaton::kDead) return {};
    at = next;
  }
  return {};
}

bool HasType(const Json& value, std::string_view type) {
  return type == "integer" ? value.is_number() : type == value.type_name();
}

void Run(const Json& schema, uint64_t seed) {
  for (const bool strict : {true, false}) {
    WorkMeter meter([](uint64_t used) {
      return used < kMostWork ? Status() : Fail(ErrorKind::kCancelled, "enough");
    });
    std::vector<std::string> dropped;
    const auto grammar = CompileJsonSchema(schema, "schema", {strict, &meter}, &dropped);
    if (!grammar) {
      Check(!grammar.error().message.empty(), "a refusal without a reason");
      continue;
    }
    Check(!strict || dropped.empty(), "a strict schema lost a keyword");
    const std::string text = TextOf(**grammar, seed);
    if (text.empty()) continue;
    // Read as clients read an answer: an object whose names are free may name a member twice, which
    // is JSON, and no grammar can forbid it.
    const Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    Check(!value.is_discarded(), "a text that is no JSON");
    if (!strict) continue;
    if (schema.contains("type") && schema["type"].is_string() && !schema.contains("nullable")) {
      Check(HasType(value, schema["type"].get<std::string>()), "a value of another type");
    }
    if (schema.contains("enum") && !schema.contains("nullable")) {
      Check(JsonSet(schema["enum"]).Contains(value), "a value that is not listed");
    }
  }
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  uint64_t seed = size;
  for (size_t i = 0; i < size; ++i) seed = (seed ^ data[i]) * 0x100000001b3u;
  const auto schema = ParseStrictObject({reinterpret_cast<const char*>(data), size});
  if (schema) Run(*schema, seed);
  return 0;
}
