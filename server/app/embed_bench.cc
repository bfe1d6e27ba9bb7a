// Measures what the scheduler does, without it: one text alone, as a query comes, and as many texts
// as a full step takes. The median of several runs counts, since other programs only ever make one
// slower.
#include "server/app/embed_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr size_t kDefaultTokens = 128;

struct Measurement {
  size_t batch, tokens;  // texts of a step, and tokens of each
  double seconds;        // of a step
  double texts_per_second() const { return static_cast<double>(batch) / seconds; }
};

Result<Measurement> Measure(const Model& model, ThreadPool& pool, Scratch& scratch, int repeat,
                            size_t batch, size_t n) {
  std::vector<std::vector<int32_t>> texts(batch, std::vector<int32_t>(n));
  for (size_t text = 0; text < batch; ++text) {
    for (size_t i = 0; i < n; ++i) {  // of no meaning; the time does not depend on which they are
      texts[text][i] = static_cast<int32_t>((text * 131 + i * 7919 + 11) % model.config().vocab);
    }
  }
  std::vector<EncoderText> inputs(batch);
  for (size_t text = 0; text < batch; ++text) inputs[text].tokens = texts[text];
  std::vector<double> seconds;
  for (int i = 0; i <= repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    TRY_OK(model.transformer.Encode(inputs, scratch, pool));
    const auto end = std::chrono::steady_clock::now();
    // The first run warms up.
    if (i > 0) seconds.push_back(std::chrono::duration<double>(end - start).count());
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return Measurement{batch, n, *middle};
}

void PrintTable(const Model& model, size_t threads, const EmbedBenchOptions& options,
                const std::vector<Measurement>& results) {
  fmt::print("{} ({}), {:.1f} MB of weights, {} threads, {}, median of {}\n\n", model.name,
             model.source, static_cast<double>(model.transformer.weight_bytes()) / 1e6, threads,
             model.transformer.kernels().isa, options.repeat);
  fmt::print("{:<6}  {:>5}  {:>6}  {:>10}  {:>10}\n", "test", "batch", "tokens", "texts/s", "ms");
  for (const Measurement& m : results) {
    fmt::print("{:<6}  {:>5}  {:>6}  {:>10.1f}  {:>10.2f}\n", "embed", m.batch, m.tokens,
               m.texts_per_second(), m.seconds * 1000);
  }
}

void PrintJson(const Model& model, size_t threads, const EmbedBenchOptions& options,
               const std::vector<Measurement>& results) {
  Json list = Json::array();
  for (const Measurement& m : results) {
    list.push_back({{"test", "embed"},
                    {"batch", m.batch},
                    {"tokens", m.tokens},
                    {"texts_per_second", m.texts_per_second()},
                    {"ms", m.seconds * 1000}});
  }
  const Json out = {{"model", model.name},
                    {"source", model.source},
                    {"system_fingerprint", model.fingerprint},
                    {"weight_bytes", model.transformer.weight_bytes()},
                    {"threads", threads},
                    {"isa", model.transformer.kernels().isa},
                    {"repeat", options.repeat},
                    {"results", list}};
  // A file's name need not be UTF-8.
  fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Status RunEmbedBench(const Model& model, ThreadPool& pool, const EmbedBenchOptions& options) {
  const size_t context = model.config().context;
  std::vector<size_t> lengths = options.lengths;
  if (lengths.empty()) lengths = {std::min(kDefaultTokens, context)};
  const size_t longest = *std::ranges::max_element(lengths);
  if (longest > context) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--embed {}: the model's context is {} tokens", longest, context),
                "embed");
  }
  const size_t rows = std::max(longest, options.step_tokens);
  Scratch scratch(model.config(), rows, rows, pool.threads());
  std::vector<Measurement> results;
  for (const size_t n : lengths) {
    TRY(results.emplace_back(), Measure(model, pool, scratch, options.repeat, 1, n));
    if (rows / n == 1) continue;
    TRY(results.emplace_back(), Measure(model, pool, scratch, options.repeat, rows / n, n));
  }
  (options.json ? PrintJson : PrintTable)(model, pool.threads(), options, results);
  return {};
}

}  // namespace lockstep
