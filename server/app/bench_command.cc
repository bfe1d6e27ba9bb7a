// Measures what the scheduler does, without it: prompts in chunks, streams decoded as one batch,
// and sampling. The median of several runs counts, since other programs only ever make one slower.
#include "server/app/bench_command.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <tuple>
#include <utility>

#include "core/engine/sampler.h"
#include "server/app/embed_bench.h"
#include "server/app/progress.h"
#include "server/app/step_bound.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

struct Measurement {
  bool prefill;  // else decode
  size_t batch;
  size_t depth;   // tokens in the context before, of each stream
  size_t tokens;  // of each stream
  double tokens_per_second;
  StepBound bound = {};  // that the machine allows
  const char* name() const { return prefill ? "prefill" : "decode"; }
};

struct Measurements {
  std::vector<Measurement> all;
  size_t peak_bytes = 0;  // of the process's memory
};

// Tokens of no meaning; the time does not depend on which they are.
std::vector<int32_t> Prompt(size_t n, size_t vocab) {
  std::vector<int32_t> tokens(n);
  for (size_t i = 0; i < n; ++i) tokens[i] = static_cast<int32_t>((i * 7919 + 11) % vocab);
  return tokens;
}

// A stream is what a session is in the scheduler: the keys and values of one text, its sampler, and
// the token with which it goes on.
struct Stream {
  KvCache kv;
  Sampler sampler;
  int32_t last;  // token, not yet in the cache
};

// Everything that a step needs is made before the clock starts, as in a server that runs already.
class Bench {
 public:
  // `tests`: how many tests will run, to tell on a terminal how far they are.
  Bench(const Model& model, ThreadPool& pool, const BenchOptions& options, size_t max_batch,
        size_t tests)
      : model_(model),
        pool_(pool),
        repeat_(options.repeat),
        chunk_(options.prefill_tokens),
        kv_type_(options.kv_type),
        all_runs_(tests * static_cast<size_t>(options.repeat + 1)),
        scratch_(model.config(), std::max(max_batch, chunk_), max_batch, pool.threads()) {}

  // A prompt of n tokens behind `depth` others, in chunks, up to the first token.
  Result<Measurement> Prefill(size_t n, size_t depth) {
    const std::vector<int32_t> prompt = Prompt(n, model_.config().vocab);
    return Median({true, 1, depth, n, 0}, [&](std::vector<Stream>& streams) -> Status {
      TRY_OK(Feed(streams[0], prompt));
      return Sample(streams[0], scratch_.logits(0));
    });
  }

  // `batch` streams of n tokens each, decoded and sampled together.
  Result<Measurement> Decode(size_t n, size_t batch, size_t depth) {
    return Median({false, batch, depth, n, 0}, [&](std::vector<Stream>& streams) -> Status {
      for (size_t i = 0; i < n; ++i) TRY_OK(Step(streams));
      return {};
    });
  }

  // Fills in what the machine allows. At the end, since measuring it takes memory of its own.
  void AddBounds(std::vector<Measurement>& measurements) {
    const MachineSpeed speed = MeasureSpeed(model_.transformer.kernels(), pool_,
                                            static_cast<size_t>(model_.cost.Of(1, 1).bytes));
    const KvCost kv = KvCache::Cost(model_.config(), kv_type_, 1);
    for (Measurement& m : measurements) {
      m.bound = m.prefill ? PrefillBound(speed, model_.cost, m.tokens, chunk_)
                          : DecodeBound(speed, model_.cost, m.batch, kv.Of(m.depth + m.tokens / 2));
    }
  }

 private:
  // Fills in the tokens per second: `run` takes the streams from their depth to tokens more.
  Result<Measurement> Median(Measurement m,
                             const std::function<Status(std::vector<Stream>&)>& run) {
    TRY(auto streams, MakeStreams(m.batch, m.depth, m.depth + m.tokens));
    const std::vector<float> states(streams[0].kv.states().begin(), streams[0].kv.states().end());
    std::vector<double> seconds;
    for (int i = 0; i <= repeat_; ++i) {
      for (Stream& stream : streams) {
        // Each run begins at the depth again, whose keys and values no run changes.
        stream.kv.Truncate(m.depth);
        stream.kv.SetStates(states);
        stream.sampler.Reset({}, {});
        stream.last = 1;
      }
      const auto start = std::chrono::steady_clock::now();
      TRY_OK(run(streams));
      const auto end = std::chrono::steady_clock::now();
      progress_.Update(++runs_, all_runs_);
      // The first run warms up.
      if (i > 0) seconds.push_back(std::chrono::duration<double>(end - start).count());
    }
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    // The median of an even number of runs is the upper one of the two in the middle.
    std::nth_element(seconds.begin(), middle, seconds.end());
    m.tokens_per_second = static_cast<double>(m.tokens * m.batch) / *middle;
    return m;
  }

  // The depth is filled once; the other streams get copies, which take memory of their own.
  Result<std::vector<Stream>> MakeStreams(size_t batch, size_t depth, size_t context) {
    std::vector<Stream> streams;
    for (size_t i = 0; i < batch; ++i) {
      TRY(auto kv, KvCache::Create(model_.config(), context, kv_type_));
      streams.push_back(
          {std::move(kv), Sampler(model_.config().vocab, model_.transformer.kernels()), 1});
      if (i > 0) streams[i].kv.CopyPrefixFrom(streams[0].kv, depth);
      if (i > 0 || depth == 0) continue;
      TRY_OK(Feed(streams[0], Prompt(depth, model_.config().vocab)));
    }
    return streams;
  }

  // The logits are those of the last token.
  Status Feed(Stream& stream, std::span<const int32_t> tokens) {
    while (!tokens.empty()) {
      const BatchEntry entry{&stream.kv, tokens.first(std::min(chunk_, tokens.size())),
                             tokens.size() <= chunk_ ? LogitRows::kLast : LogitRows::kNone};
      tokens = tokens.subspan(entry.tokens.size());
      TRY_OK(model_.transformer.Forward({&entry, 1}, scratch_, pool_));
    }
    return {};
  }

  Status Step(std::vector<Stream>& streams) {
    batch_.clear();
    for (Stream& stream : streams) {
      batch_.push_back({&stream.kv, {&stream.last, 1}, LogitRows::kLast});
    }
    TRY_OK(model_.transformer.Forward(batch_, scratch_, pool_));
    // The scheduler samples in parallel, too: with many streams and a large vocabulary, sampling is
    // a good part of a step.
    std::atomic<bool> sampled{true};
    pool_.ParallelFor(streams.size(), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        if (!Sample(streams[i], scratch_.logits(i))) sampled = false;
      }
    });
    if (!sampled) return Fail(ErrorKind::kInternal, "the model gave no finite logit");
    return {};
  }

  static Status Sample(Stream& stream, std::span<const float> logits) {
    TRY(auto sampled, stream.sampler.Sample(logits, stream.kv.length()));
    stream.last = sampled.token;
    return {};
  }

  const Model& model_;
  ThreadPool& pool_;
  const int repeat_;
  const size_t chunk_;
  const KvType kv_type_;
  const size_t all_runs_;
  size_t runs_ = 0;
  Progress progress_{"Measuring", " runs"};
  Scratch scratch_;
  std::vector<BatchEntry> batch_;
};

// A size of 0 means that there is no such test, which therefore fits any context.
Status CheckSizes(const BenchOptions& options, size_t context) {
  const size_t depth = *std::max_element(options.depth.begin(), options.depth.end());
  const auto check = [depth](const char* flag, const std::vector<size_t>& values, size_t limit) {
    for (const size_t value : values) {
      if (value == 0 || value + depth <= limit) continue;
      const std::string behind = depth == 0 ? "" : fmt::format(" at a depth of {}", depth);
      return Status(Fail(
          ErrorKind::kInvalidArgument,
          fmt::format("--{} {}{}: the model's context is {} tokens", flag, value, behind, limit),
          flag));
    }
    return Status();
  };
  TRY_OK(check("prompt", options.prompt, context));
  return check("generate", options.generate, context);
}

Result<Measurements> Measure(const Model& model, ThreadPool& pool, const BenchOptions& options) {
  TRY_OK(CheckSizes(options, model.config().context));
  const auto some = [](const std::vector<size_t>& sizes) {
    return sizes.size() - static_cast<size_t>(std::count(sizes.begin(), sizes.end(), 0));
  };
  const size_t tests =
      options.depth.size() * (some(options.prompt) + options.batch.size() * some(options.generate));
  Bench bench(model, pool, options, *std::max_element(options.batch.begin(), options.batch.end()),
              tests);
  Measurements results;
  for (const size_t depth : options.depth) {
    for (const size_t n : options.prompt) {
      if (n == 0) continue;
      TRY(results.all.emplace_back(), bench.Prefill(n, depth));
    }
    for (const size_t batch : options.batch) {
      for (const size_t n : options.generate) {
        if (n == 0) continue;
        TRY(results.all.emplace_back(), bench.Decode(n, batch, depth));
      }
    }
  }
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  results.peak_bytes = static_cast<size_t>(usage.ru_maxrss) * 1024;
  bench.AddBounds(results.all);
  return results;
}

void PrintTable(const Model& model, const BenchOptions& options, const Measurements& results) {
  fmt::print("{} ({}), {:.1f} MB of weights, {} threads, {}, median of {}\n\n", model.name,
             model.source, static_cast<double>(model.transformer.weight_bytes()) / 1e6,
             options.threads, model.transformer.kernels().isa, options.repeat);
  fmt::print("{:<8}  {:>5}  {:>6}  {:>6}  {:>12}  {:>12}\n", "test", "batch", "depth", "tokens",
             "tokens/s", "at most");
  for (const Measurement& m : results.all) {
    fmt::print("{:<8}  {:>5}  {:>6}  {:>6}  {:>12.1f}  {:>12.1f}  by {}\n", m.name(), m.batch,
               m.depth, m.tokens, m.tokens_per_second, m.bound.tokens_per_second, m.bound.by);
  }
}

void PrintJson(const Model& model, const BenchOptions& options, const Measurements& results) {
  Json list = Json::array();
  for (const Measurement& m : results.all) {
    list.push_back({{"test", m.name()},
                    {"batch", m.batch},
                    {"depth", m.depth},
                    {"tokens", m.tokens},
                    {"tokens_per_second", m.tokens_per_second},
                    {"bound_tokens_per_second", m.bound.tokens_per_second},
                    {"bound_by", m.bound.by}});
  }
  const Json out = {{"model", model.name},
                    {"source", model.source},
                    {"system_fingerprint", model.fingerprint},
                    {"weight_bytes", model.transformer.weight_bytes()},
                    {"threads", options.threads},
                    {"isa", model.transformer.kernels().isa},
                    {"prefill_tokens", options.prefill_tokens},
                    {"repeat", options.repeat},
                    {"peak_bytes", results.peak_bytes},
                    {"results", list}};
  // A file's name need not be UTF-8.
  fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
}

// Texts are read at once and nothing follows them. A size that was given as it is by default cannot
// be told from one that was not.
Status CheckEmbedOptions(const BenchOptions& options) {
  const BenchOptions none;
  const std::tuple<const char*, const std::vector<size_t>&, const std::vector<size_t>&> sizes[] = {
      {"prompt", options.prompt, none.prompt},
      {"generate", options.generate, none.generate},
      {"batch", options.batch, none.batch},
      {"depth", options.depth, none.depth}};
  for (const auto& [name, given, standard] : sizes) {
    if (given == standard) continue;
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("--{} is for models that generate, and this one makes vectors of texts: "
                    "--embed says of how many tokens",
                    name),
        name);
  }
  return {};
}

}  // namespace

int RunBench(const BenchOptions& options) {
  return RunWithModel("bench", options, [&](const Model& model, ThreadPool& pool) -> Status {
    if (model.config().encodes()) {
      TRY_OK(CheckEmbedOptions(options));
      return RunEmbedBench(model, pool,
                           {.lengths = options.embed,
                            .step_tokens = options.prefill_tokens,
                            .repeat = options.repeat,
                            .json = options.json});
    }
    if (!options.embed.empty()) {
      return Fail(ErrorKind::kInvalidArgument,
                  "--embed is for models that make vectors of texts, and this one generates",
                  "embed");
    }
    TRY(const auto results, Measure(model, pool, options));
    (options.json ? PrintJson : PrintTable)(model, options, results);
    return {};
  });
}

}  // namespace lockstep
