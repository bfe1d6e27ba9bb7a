// usage: schema_outputs [--calls FORM] [--answers N] [MODEL] < schemas.json > outputs.jsonl
// N generations (1) at temperature 1.5 for each of a list of schemas; MODEL is the embedded one if
// left out. A line each: {"schema", "text", "finish", "dropped", "ms"}, for check_outputs.mjs. The
// schemas are strict; with --calls they are those of tools that are not, and a text is the
// arguments of a call that was written in the form, one of json, tagged, gemma and pythonic, and
// read.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/engine/session.h"
#include "core/grammar/grammar.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/model/model.h"
#include "server/api/chat/argument_reader.h"
#include "server/api/chat/argument_rules.h"
#include "server/generation/grammar_cache.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr size_t kContext = 1024;
constexpr size_t kMaxTokens = 400;

struct Options {
  std::string form, model;
  int answers = 1;
};

// The forms of Qwen 2.5, Qwen's coder, Gemma 4 and LFM2, from the arguments on.
CallForm Form(const std::string& name) {
  CallForm form;
  if (name == "tagged") {
    form.arguments = CallForm::Arguments::kTagged;
    form.key_before = "<parameter=";
    form.key_after = form.key_after_other = ">\n";
    form.value_after = "\n</parameter>\n";
    form.after = "</function>";
  } else if (name == "gemma") {
    form.arguments = CallForm::Arguments::kGemma;
    form.after = "}";
  } else if (name == "pythonic") {
    form.arguments = CallForm::Arguments::kPythonic;
    form.after = ")";
  }
  return form;
}

// A schema's grammar, and what a text of it amounts to.
struct Bound {
  std::shared_ptr<const TokenGrammar> grammar;
  std::vector<std::string> dropped;
  CallForm form;
  std::set<std::string> strings;
};

Result<Bound> Bind(const Json& schema, const Options& options, GrammarCache& cache) {
  Bound bound;
  CompileClient client;
  if (options.form.empty()) {
    TRY(bound.grammar, cache.JsonSchema(schema, "schema", true, client, &bound.dropped));
    return bound;
  }
  bound.form = Form(options.form);
  const Json function = {{"name", "f"}, {"parameters", schema}};
  const auto write = [&](WorkMeter* meter) -> Result<std::string> {
    JsonGrammar json;
    ArgumentRules rules(bound.form, &json, meter);
    TRY(const std::string rule, rules.Add(function, "schema"));
    bound.dropped = rules.dropped();
    bound.dropped.insert(bound.dropped.end(), json.dropped().begin(), json.dropped().end());
    if (const auto strings = rules.strings().find("f"); strings != rules.strings().end()) {
      bound.strings = strings->second;
    }
    const std::string end = bound.form.after.empty() ? "" : GbnfLiteral(bound.form.after);
    return "chat-root ::= " + rule + " " + end + "\n" + rules.rules() + json.rules();
  };
  TRY(bound.grammar, cache.Chat(write, "chat-root", client));
  return bound;
}

Result<Json> Generate(const Model& model, const Bound& bound, uint64_t seed, ThreadPool& pool) {
  auto session = InferenceSession::Create(model.config(), model.tokenizer, kContext);
  if (!session) return tl::unexpected(session.error());
  GenerationOptions params;
  params.grammar = bound.grammar;
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
  const bool stopped = session->finish_reason() == FinishReason::kStop;
  Json out;
  if (bound.form.arguments != CallForm::Arguments::kJson) {
    std::string json;
    const bool whole = ArgumentReader(bound.form, bound.strings).Read(&text, &json);
    if (stopped && !whole) return Fail(ErrorKind::kInternal, "the arguments have no end: " + json);
    text = json;
  }
  out["text"] = text;
  out["finish"] = stopped ? "stop" : "length";
  out["dropped"] = bound.dropped;
  out["ms"] = took.count();
  return out;
}

Options ReadOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--calls" && i + 1 < argc) {
      options.form = argv[++i];
    } else if (name == "--answers" && i + 1 < argc) {
      options.answers = std::atoi(argv[++i]);
    } else {
      options.model = name;
    }
  }
  return options;
}

int Run(int argc, char** argv) {
  const Options options = ReadOptions(argc, argv);
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  const auto schemas = ParseStrictObject("{\"all\":" + input + "}");
  if (!schemas) {
    std::fprintf(stderr, "schema_outputs: %s\n", schemas.error().message.c_str());
    return 2;
  }
  SetComputeFloatMode();
  ThreadPool pool(2);
  const auto model = LoadModel(options.model, *ChooseKernels("auto").kernels, pool);
  if (!model) {
    std::fprintf(stderr, "schema_outputs: %s\n", model.error().message.c_str());
    return 2;
  }
  GrammarCache cache((*model)->tokenizer);
  int failed = 0;
  uint64_t seed = 1;
  for (const Json& schema : (*schemas)["all"]) {
    const auto bound = Bind(schema, options, cache);
    for (int i = 0; i < options.answers; ++i) {
      auto output = bound ? Generate(**model, *bound, seed++, pool)
                          : Result<Json>(tl::unexpected(bound.error()));
      if (output) {
        (*output)["schema"] = schema;
        std::cout << Dump(*output) << '\n';
        continue;
      }
      std::fprintf(stderr, "%s: %s\n", Dump(schema).c_str(), output.error().message.c_str());
      failed = 1;
      break;
    }
  }
  return failed;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) { return lockstep::Run(argc, argv); }
