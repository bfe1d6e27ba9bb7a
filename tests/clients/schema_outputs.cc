// usage: schema_outputs [MODEL] < schemas.json > outputs.jsonl
// One generation at temperature 1.5 for each of a list of schemas; MODEL is the embedded one if
// left out. A line each: {"schema", "text", "finish", "ms"}, for tests/clients/check_outputs.mjs.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "core/engine/session.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/model/model.h"
#include "server/generation/grammar_cache.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr size_t kContext = 1024;
constexpr size_t kMaxTokens = 400;

Result<Json> Generate(const Model& model, const Json& schema, uint64_t seed, GrammarCache& cache,
                      ThreadPool& pool) {
  CompileClient client;
  auto grammar = cache.JsonSchema(schema, "schema", /*strict=*/true, client);
  if (!grammar) return tl::unexpected(grammar.error());
  auto session = InferenceSession::Create(model.config(), model.tokenizer, kContext);
  if (!session) return tl::unexpected(session.error());
  GenerationOptions params;
  params.grammar = *std::move(grammar);
  params.max_tokens = kMaxTokens;
  params.sampling.temperature = 1.5f;
  params.sampling.top_k = 0;
  params.sampling.top_p = 1;
  params.sampling.min_p = 0;
  params.sampling.seed = seed;
  const auto begin = std::chrono::steady_clock::now();
  Status ok = session->Begin(model.tokenizer.Encode("Here is some JSON:", true), params);
  if (!ok) return tl::unexpected(ok.error());
  Scratch scratch(model.config(), 64, 1, pool.threads());
  std::string text;
  while (!session->finished()) {
    if (session->waits_for_grammar()) {
      if (const auto ready = session->Resume(); !ready) return tl::unexpected(ready.error());
    }
    const BatchEntry entry = session->NextEntry(64);
    ok = model.transformer.Forward({&entry, 1}, scratch, pool);
    if (!ok) return tl::unexpected(ok.error());
    const bool has_logits = entry.logits != LogitRows::kNone;
    const auto event = session->Accept(has_logits ? scratch.logits(0) : std::span<const float>());
    if (!event) return tl::unexpected(event.error());
    if (*event) text += (*event)->text;
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  Json out;
  out["schema"] = schema;
  out["text"] = text;
  out["finish"] = session->finish_reason() == FinishReason::kStop ? "stop" : "length";
  out["ms"] = took.count();
  return out;
}

int Run(int argc, char** argv) {
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  const auto schemas = ParseStrictObject("{\"all\":" + input + "}");
  if (!schemas) {
    std::fprintf(stderr, "schema_outputs: %s\n", schemas.error().message.c_str());
    return 2;
  }
  SetComputeFloatMode();
  ThreadPool pool(2);
  const auto model = LoadModel(argc > 1 ? argv[1] : "", *ChooseKernels("auto").kernels, pool);
  if (!model) {
    std::fprintf(stderr, "schema_outputs: %s\n", model.error().message.c_str());
    return 2;
  }
  GrammarCache cache((*model)->tokenizer);
  int failed = 0;
  uint64_t seed = 1;
  for (const Json& schema : (*schemas)["all"]) {
    const auto output = Generate(**model, schema, seed++, cache, pool);
    if (output) {
      std::cout << Dump(*output) << '\n';
    } else {
      std::fprintf(stderr, "%s: %s\n", Dump(schema).c_str(), output.error().message.c_str());
      failed = 1;
    }
  }
  return failed;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) { return lockstep::Run(argc, argv); }
