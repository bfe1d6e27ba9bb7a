// A command declares those of the program's flags again that it obeys, so that its own help is
// whole; where they are given twice, the command's counts.
#include "server/app/command_flags.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <string>
#include <vector>

#include "core/base/quoted.h"
#include "core/kernels/isas.h"
#include "server/app/hub_flags.h"

namespace lockstep {
namespace {

// Limits against typing errors; the machine's own are found when the memory is reserved.
constexpr size_t kMaxThreads = 1024, kMaxBatch = 1024;

std::map<std::string, KvType> KvTypesByName() {
  std::map<std::string, KvType> types;
  for (const KvType type : kKvTypes) types.emplace(Name(type), type);
  return types;
}

// The library's own range holds for NaN, which is neither below nor above it.
CLI::Validator Real(double low, double high) {
  return {[low, high](std::string& text) {
            double number = 0;
            const char* const end = text.data() + text.size();
            const auto [read, error] = std::from_chars(text.data(), end, number);
            const bool fine =
                read == end && error == std::errc() && number >= low && number <= high;
            return fine ? std::string()
                        : fmt::format("{} is not a number from {} to {}", Quoted(text), low, high);
          },
          fmt::format("FLOAT in [{} - {}]", low, high)};
}

// What is asked or measured is said with each run: such a flag has no variable.
CLI::Option* AddCount(CLI::App& command, const char* name, auto& value, size_t low, size_t high,
                      const std::string& help) {
  return command.add_option(name, value, help)
      ->type_name("N")
      ->transform(Flags::Decimal(low, high));
}

void AddSamplingFlags(CLI::App& command, SamplingOptions& sampling) {
  const auto real = [&command](const char* name, double& value, double low, double high,
                               const char* help) {
    command.add_option(name, value, help)
        ->type_name("X")
        ->check(Real(low, high))
        ->capture_default_str();
  };
  real("--temperature", sampling.temperature, 0, 100, "0 always takes the likeliest token");
  real("--top-p", sampling.top_p, 0.01, 1, "of the likeliest tokens only this share");
  real("--min-p", sampling.min_p, 0, 1, "no token below this share of the likeliest's probability");
  AddCount(command, "--top-k", sampling.top_k, 0, kMaxContext,
           "so many of the likeliest tokens; 0 for all")
      ->capture_default_str();
  AddCount(command, "--max-tokens", sampling.max_tokens, 1, kMaxContext,
           "the answer ends here; without it where the context does");
  AddCount(command, "--seed", sampling.seed, 0, INT64_MAX, "the same seed gives the same answer");
}

// What chat and generate have in common.
void AddAnswerFlags(Flags& flags, CLI::App& command, Options& options, SamplingOptions& sampling) {
  AddSamplingFlags(command, sampling);
  AddModelFlags(flags, command, options);
  AddCacheFlag(flags, command, options);
  AddContextFlag(flags, command, options);
}

}  // namespace

void AddModelFlags(Flags& flags, CLI::App& app, Options& options) {
  flags.Text(app, "-m,--model", options.model,
             "GGUF file, or https://... or hf://... of one; without it the embedded model");
  AddHubFlags(flags, app, options.hub);
  AddComputeFlags(flags, app, options);
}

void AddComputeFlags(Flags& flags, CLI::App& app, Options& options) {
  flags.NumberOrFound(app, "-t,--threads", options.threads, 1, kMaxThreads,
                      "compute threads; without it as many as CPU affinity and cgroup allow");
  flags.Text(app, "--isa", options.isa,
             "instruction set: auto, or " + IsaNames() + "; the answers are the same");
  flags.Choice<KvType>(app, "--kv-type", options.kv_type, KvTypesByName(),
                       "keys and values: f16, or q8_0 in half the memory, or q4_0 in a quarter");
}

void AddCacheFlag(Flags& flags, CLI::App& app, Options& options) {
  flags.Text(app, "--cache-dir", options.cache_dir,
             "folder that keeps the SHA-256 of a model's file, so that only its first start reads "
             "the file for it: auto (~/.cache/lockstep), none, or a path");
}

void AddContextFlag(Flags& flags, CLI::App& app, Options& options) {
  flags.NumberOrFound(
      app, "-c,--context,--ctx-size", options.context, 1, kMaxContext,
      "tokens of a prompt and its answer; without it as many of the model's as memory "
      "allows");
}

void AddPrefillFlag(Flags& flags, CLI::App& app, Options& options) {
  flags.Number(app, "--prefill-tokens", options.scheduling.prefill_tokens, 1, kMaxContext,
               "prompt tokens that one step takes at most");
}

void AddBenchCommand(Flags& flags, CLI::App& app, Options& options) {
  CLI::App* const bench = app.add_subcommand("bench", "measure prefill and decode");
  BenchOptions& tests = options.bench;
  const auto list = [bench](const char* name, std::vector<size_t>& values, size_t low, size_t high,
                            const char* help) {
    return AddCount(*bench, name, values, low, high, help)->delimiter(',')->capture_default_str();
  };
  list("--prompt", tests.prompt, 0, kMaxContext, "tokens to read, such as 128,512; 0 for none");
  list("--generate", tests.generate, 0, kMaxContext, "tokens that each stream writes; 0 for none");
  list("--batch", tests.batch, 1, kMaxBatch, "streams decoded together, such as 1,4,16");
  list("--embed", tests.embed, 1, kMaxContext,
       "of a model that makes vectors: tokens of a text, such as 20,200; without any 128")
      ->expected(0, -1);
  list("--depth", tests.depth, 0, kMaxContext, "tokens that are in the context before");
  AddCount(*bench, "--repeat", tests.repeat, 1, kMaxBatch,
           "runs of each test, of which the median counts")
      ->capture_default_str();
  bench->add_flag("--json", tests.json, "print JSON instead of a table")
      ->transform(Flags::YesOrNo());
  AddModelFlags(flags, *bench, options);
  AddPrefillFlag(flags, *bench, options);
}

void AddPerplexityCommand(Flags& flags, CLI::App& app, Options& options) {
  CLI::App* const perplexity =
      app.add_subcommand("perplexity", "measure how well a text is predicted");
  PerplexityOptions& text = options.perplexity;
  perplexity->add_option("--file", text.file, "the text")->type_name("TEXT")->required();
  AddCount(
      *perplexity, "-c,--context,--ctx-size", text.context, 1, kMaxContext,
      fmt::format("tokens of a window; without it the model's, at most {}", kPerplexityContext));
  AddCount(*perplexity, "--chunks", text.chunks, 1, kMaxContext,
           "windows to evaluate; without it all");
  AddModelFlags(flags, *perplexity, options);
}

void AddChatCommand(Flags& flags, CLI::App& app, Options& options) {
  CLI::App* const chat = app.add_subcommand("chat", "talk with the model in the terminal");
  chat->add_option("--system", options.chat.system, "what the model is told before all");
  AddAnswerFlags(flags, *chat, options, options.chat.sampling);
}

void AddGenerateCommand(Flags& flags, CLI::App& app, Options& options) {
  CLI::App* const command =
      app.add_subcommand("generate", "write on from a text, from stdin or --prompt, to stdout");
  GenerateCommandOptions& generate = options.generate;
  command->add_option("--prompt", generate.prompt, "the text; without it stdin is read");
  CLI::Option* const chat =
      command->add_flag("--chat", generate.chat, "the text is a message, which the model answers")
          ->transform(Flags::YesOrNo());
  command->add_option("--system", generate.system, "what the model is told before, with --chat")
      ->needs(chat);
  AddAnswerFlags(flags, *command, options, generate.sampling);
}

void AddVerifyCommand(Flags& flags, CLI::App& app, Options& options) {
  CLI::App* const command =
      app.add_subcommand("verify", "check that answers in a file are what the model gives");
  command
      ->add_option("FILE", options.verify_file,
                   "JSON with route, request and answer, one object or one a line")
      ->required();
  AddModelFlags(flags, *command, options);
  AddContextFlag(flags, *command, options);
}

}  // namespace lockstep
