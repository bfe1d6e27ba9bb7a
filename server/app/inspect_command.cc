// Prints what a file says before it judges it: a file that cannot run here is inspected to find out
// why.
#include "server/app/inspect_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <type_traits>

#include "core/base/quoted.h"
#include "core/engine/scheduler.h"
#include "core/gguf/gguf_parts.h"
#include "core/model/model.h"
#include "core/tokenizer/tokenizer.h"
#include "core/transformer/kv_cache.h"
#include "core/transformer/model_config.h"
#include "server/app/machine_report.h"
#include "server/host/memory_plan.h"

namespace lockstep {
namespace {

// A vocabulary has a hundred thousand elements, of which the first ones show what it is.
constexpr size_t kShownElements = 6;
constexpr size_t kShownBytes = 100;  // of a string
constexpr int kBadFileExit = 2;

std::string ElementText(const GgufArray& array, size_t i) {
  const auto type = static_cast<GgufType>(array.element_type);
  if (type == GgufType::kString) return Quoted(array.strings[i], kShownBytes);
  if (type == GgufType::kBool) return array.data[i] != 0 ? "true" : "false";
  return ForNumberType(type, [&]<class T>() {
    T value;  // copied out, as values in a GGUF file are not aligned
    std::memcpy(&value, array.data.data() + i * sizeof(T), sizeof(T));
    return fmt::format("{}", value);
  });
}

std::string ArrayText(const GgufArray& array) {
  std::string out = "[";
  for (size_t i = 0; i < std::min(array.count, kShownElements); ++i) {
    out += (i > 0 ? ", " : "") + ElementText(array, i);
  }
  return out + (array.count > kShownElements ? ", ...]" : "]");
}

std::string ValueText(const GgufPair& pair) {
  return std::visit(
      [&](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, GgufArray>) {
          return ArrayText(v);
        } else if constexpr (std::is_same_v<T, std::string_view>) {
          return Quoted(v, kShownBytes);
        } else {
          // Shortest text of the stored number, so not of an f32's digits as a double.
          return pair.type == Id(GgufType::kF32) ? fmt::format("{}", static_cast<float>(v))
                                                 : fmt::format("{}", v);
        }
      },
      pair.value);
}

std::string TypeText(const GgufPair& pair) {
  const auto* array = std::get_if<GgufArray>(&pair.value);
  if (array == nullptr) return GgufTypeName(pair.type);
  return fmt::format("{}[{}]", GgufTypeName(array->element_type), array->count);
}

void PrintMetadata(const GgufFile& file) {
  fmt::print("\nmetadata ({})\n", file.pairs().size());
  for (const GgufPair& pair : file.pairs()) {
    fmt::print("  {:<44} {:<14} {}\n", Escaped(pair.key, kShownBytes), TypeText(pair),
               ValueText(pair));
  }
}

void PrintTensors(const GgufFile& file) {
  struct Total {
    size_t tensors = 0, elements = 0, bytes = 0;
    void Add(const GgufTensor& tensor) {
      ++tensors;
      elements += tensor.rows() * tensor.cols();
      bytes += tensor.data.size();
    }
  };
  Total all;
  std::map<std::string, Total> by_type;
  fmt::print("\ntensors ({})\n", file.tensors().size());
  for (const GgufTensor& tensor : file.tensors()) {
    fmt::print("  {:<44} {:<8} {:<20} {} bytes\n", Escaped(tensor.name), tensor.type->name,
               fmt::format("[{}]", fmt::join(tensor.dims, ", ")), tensor.data.size());
    all.Add(tensor);
    by_type[tensor.type->name].Add(tensor);
  }
  fmt::print("\ntotals\n");
  for (const auto& [type, total] : by_type) {
    fmt::print("  {:<8} {} tensors, {} parameters, {} bytes\n", type, total.tensors, total.elements,
               total.bytes);
  }
  fmt::print("  {:<8} {} tensors, {} parameters, {} bytes\n", "all", all.tensors, all.elements,
             all.bytes);
}

// The text ends of what a model generates, by name.
std::string EndsText(const Tokenizer& tokenizer) {
  std::string ends;
  for (size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const int32_t token = static_cast<int32_t>(id);
    if (!tokenizer.IsEndOfGeneration(token)) continue;
    ends += (ends.empty() ? "" : ", ") + Quoted(tokenizer.TokenText(token), kShownBytes);
  }
  return ends.empty() ? "nothing" : ends;
}

std::string TokenizerText(const GgufFile& file) {
  const auto tokenizer = Tokenizer::Create(file);
  if (!tokenizer) return "not supported";
  return fmt::format("{}; {} tokens; adds {}; ends at {}", Escaped(tokenizer->name()),
                     tokenizer->vocab_size(),
                     tokenizer->adds_bos() && tokenizer->adds_eos() ? "BOS and EOS"
                     : tokenizer->adds_bos()                        ? "BOS"
                     : tokenizer->adds_eos()                        ? "EOS"
                                                                    : "nothing",
                     EndsText(*tokenizer));
}

// A value of the metadata that is a string, or what to say instead.
std::string StringText(const GgufFile& file, std::string_view key, const char* absent) {
  const auto text = file.GetString(key);
  return text && *text ? Quoted(**text, kShownBytes) : absent;
}

// What the server needs to run the file, as far as it can tell.
void PrintNeeds(const GgufFile& file) {
  const auto print = [](const char* what, const std::string& value) {
    fmt::print("  {:<14} {}\n", what, value);
  };
  fmt::print("\nneeds\n");
  print("architecture", StringText(file, "general.architecture", "not named"));
  print("tokenizer", TokenizerText(file));
  const auto chat = file.GetString("tokenizer.chat_template");
  print("chat template",
        chat && *chat ? fmt::format("its own, {} bytes", (*chat)->size()) : "none in the file");
  std::set<std::string> types;
  for (const GgufTensor& tensor : file.tensors()) types.insert(tensor.type->name);
  print("types", fmt::format("{}", fmt::join(types, ", ")));
  std::string memory = fmt::format("{} for the weights", BytesText(file.size()));
  if (const auto config = ReadModelConfig(file)) {
    // The figures are those of the default --kv-type; layers with a sliding window keep no more.
    const size_t position = KvCache::BytesPerPosition(*config, KvType::kF16);
    const KvCost cost = KvCache::Cost(*config, KvType::kF16, SchedulerOptions().prefill_tokens);
    memory += fmt::format(", {} bytes for keys and values of each token ({} for all {})", position,
                          BytesText(cost.Of(config->context)), config->context);
    if (cost.state_bytes != 0) {
      memory += fmt::format(", with {} for the states of {} recurrent layers",
                            BytesText(cost.state_bytes), config->recurrent_count());
    }
  }
  print("memory", memory);
}

int ExitWith(const Error& error) {
  fmt::print(stderr, "lockstep: {}\n", error.message);
  return kBadFileExit;
}

}  // namespace

int RunInspect(const Options& options) {
  const std::string& path = options.inspect_file;
  auto opened = GgufParts::Open(path);
  if (!opened) return ExitWith(opened.error());
  const GgufFile& file = opened->file();

  fmt::print("{}: GGUF version {}, {} bytes", path, file.version(), file.size());
  if (opened->parts().size() > 1) fmt::print(" in {} parts", opened->parts().size());
  fmt::print("\n");
  PrintMetadata(file);
  PrintTensors(file);
  PrintNeeds(file);
  for (const std::string& warning : file.warnings()) fmt::print("warning: {}\n", warning);
  // Check does all that a start would do with the file, and reads all of it, but keeps nothing.
  auto model = ModelFile::Create(*std::move(opened));
  const Status runs = model.and_then(&ModelFile::Check);
  fmt::print("\nruns here: {}\n", runs ? "yes" : "no");
  if (runs) PrintMachineReport(*std::move(model), options);
  // The table comes out before the error where both go to one file.
  std::fflush(stdout);
  return runs ? 0 : ExitWith(runs.error());
}

}  // namespace lockstep
