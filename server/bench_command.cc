#include "server/bench_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/kernels/cpu_features.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/thread_pool.h"
#include "core/model.h"
#include "core/scheduler.h"
#include "core/session.h"

namespace lockstep {
namespace {

struct Measurement {
  const char* test;  // "prefill" or "decode"
  size_t batch;
  size_t tokens;  // of each stream
  double tokens_per_second;
};

// Tokens of no meaning; the time does not depend on which they are.
std::vector<int32_t> Prompt(size_t n, size_t vocab) {
  std::vector<int32_t> tokens(n);
  for (size_t i = 0; i < n; ++i) tokens[i] = static_cast<int32_t>((i * 7919 + 11) % vocab);
  return tokens;
}

class Bench {
 public:
  Bench(const Model& model, ThreadPool& pool, int repeat, size_t max_batch)
      : model_(model),
        pool_(pool),
        repeat_(repeat),
        scratch_(model.config(), max_batch + kChunk, max_batch, pool.threads()) {}

  // A prompt of n tokens, in the chunks that the scheduler makes, up to the first token.
  Result<Measurement> Prefill(size_t n) {
    const Result<double> seconds = MedianSeconds(1, n, 1);
    if (!seconds) return tl::unexpected<Error>(seconds.error());
    return Measurement{"prefill", 1, n, static_cast<double>(n) / *seconds};
  }

  // `batch` streams of n tokens each, decoded and sampled together, from a prompt of one token.
  Result<Measurement> Decode(size_t n, size_t batch) {
    const Result<double> seconds = MedianSeconds(batch, 1, n);
    if (!seconds) return tl::unexpected<Error>(seconds.error());
    return Measurement{"decode", batch, n, static_cast<double>(n * batch) / *seconds};
  }

 private:
  static constexpr size_t kChunk = SchedulerOptions{}.prefill_tokens;

  Result<double> MedianSeconds(size_t batch, size_t prompt, size_t generate) {
    std::vector<InferenceSession> sessions;
    for (size_t i = 0; i < batch; ++i) {
      auto session = InferenceSession::Create(model_.config(), model_.tokenizer, prompt + generate);
      if (!session) return tl::unexpected<Error>(std::move(session.error()));
      sessions.push_back(std::move(*session));
    }
    std::vector<double> seconds;
    for (int i = 0; i <= repeat_; ++i) {
      Result<double> once = Run(sessions, prompt, generate);
      if (!once) return once;
      if (i > 0) seconds.push_back(*once);  // the first run warms up
    }
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::nth_element(seconds.begin(), middle, seconds.end());
    return *middle;
  }

  Result<double> Run(std::vector<InferenceSession>& sessions, size_t prompt, size_t generate) {
    GenerationParams params;
    params.max_tokens = generate;
    params.ignore_eos = true;
    for (InferenceSession& session : sessions) {
      Status begun = session.Begin(Prompt(prompt, model_.config().vocab), params);
      if (!begun) return tl::unexpected<Error>(std::move(begun.error()));
    }
    std::vector<BatchEntry> batch;
    const auto start = std::chrono::steady_clock::now();
    while (!sessions.front().finished()) {
      batch.clear();
      for (InferenceSession& session : sessions) batch.push_back(session.NextEntry(kChunk));
      if (Status ok = model_.transformer.Forward(batch, scratch_, pool_); !ok) {
        return tl::unexpected<Error>(std::move(ok.error()));
      }
      for (size_t i = 0; i < sessions.size(); ++i) {
        const bool has_logits = batch[i].logits != LogitRows::kNone;
        auto event = sessions[i].Accept(has_logits ? scratch_.logits(i) : std::span<const float>());
        if (!event) return tl::unexpected<Error>(std::move(event.error()));
      }
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  const Model& model_;
  ThreadPool& pool_;
  const int repeat_;
  Scratch scratch_;
};

Status CheckSizes(const BenchOptions& options, size_t context) {
  const auto check = [](const char* flag, const std::vector<size_t>& values, size_t limit) {
    for (const size_t value : values) {
      if (value >= 1 && value <= limit) continue;
      return Status(Fail(ErrorKind::kInvalidArgument,
                         fmt::format("--{} {}: give numbers from 1 to {}", flag, value, limit),
                         flag));
    }
    return Status();
  };
  if (Status ok = check("prompt", options.prompt, context); !ok) return ok;
  if (Status ok = check("generate", options.generate, context); !ok) return ok;
  if (Status ok = check("batch", options.batch, 1024); !ok) return ok;
  if (options.repeat < 1) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--repeat {}: give a number from 1", options.repeat), "repeat");
  }
  return {};
}

Result<std::vector<Measurement>> Measure(const Model& model, ThreadPool& pool,
                                         const BenchOptions& options) {
  if (Status ok = CheckSizes(options, model.config().context); !ok) {
    return tl::unexpected<Error>(std::move(ok.error()));
  }
  const size_t max_batch =
      options.batch.empty() ? 1 : *std::max_element(options.batch.begin(), options.batch.end());
  Bench bench(model, pool, options.repeat, max_batch);
  std::vector<Measurement> results;
  const auto add = [&results](Result<Measurement> m) -> Status {
    if (!m) return tl::unexpected<Error>(std::move(m.error()));
    results.push_back(*m);
    return {};
  };
  Status ok;
  for (const size_t n : options.prompt) {
    if (ok) ok = add(bench.Prefill(n));
  }
  for (const size_t batch : options.batch) {
    for (const size_t n : options.generate) {
      if (ok) ok = add(bench.Decode(n, batch));
    }
  }
  if (!ok) return tl::unexpected<Error>(std::move(ok.error()));
  return results;
}

void PrintTable(const Model& model, const BenchOptions& options, std::string_view isa,
                const std::vector<Measurement>& results) {
  fmt::print("{} ({}), {:.1f} MB of weights, {} threads, {}, median of {}\n\n", model.name,
             model.source, static_cast<double>(model.transformer.weight_bytes()) / 1e6,
             options.threads, isa, options.repeat);
  fmt::print("{:<8}  {:>5}  {:>6}  {:>12}\n", "test", "batch", "tokens", "tokens/s");
  for (const Measurement& m : results) {
    fmt::print("{:<8}  {:>5}  {:>6}  {:>12.1f}\n", m.test, m.batch, m.tokens, m.tokens_per_second);
  }
}

void PrintJson(const Model& model, const BenchOptions& options, std::string_view isa,
               const std::vector<Measurement>& results) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Measurement& m : results) {
    list.push_back({{"test", m.test},
                    {"batch", m.batch},
                    {"tokens", m.tokens},
                    {"tokens_per_second", m.tokens_per_second}});
  }
  const nlohmann::ordered_json out = {{"model", model.name},
                                      {"source", model.source},
                                      {"system_fingerprint", model.fingerprint},
                                      {"weight_bytes", model.transformer.weight_bytes()},
                                      {"threads", options.threads},
                                      {"isa", isa},
                                      {"repeat", options.repeat},
                                      {"results", list}};
  // A file's name need not be UTF-8.
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

int Refuse(const std::string& message) {
  fmt::print(stderr, "lockstep bench: {}\n", message);
  return 2;
}

}  // namespace

int RunBench(const BenchOptions& options) {
  const KernelTable* kernels = ChooseKernels(options.isa).kernels;
  if (kernels == nullptr) {
    return Refuse(fmt::format("--isa {}: this processor has no such kernels", options.isa));
  }
  SetComputeFloatMode();
  ThreadPool pool(std::max<size_t>(1, options.threads));
  const auto model = LoadModel(options.model, *kernels, pool);
  if (!model) return Refuse(model.error().message);
  const auto results = Measure(**model, pool, options);
  if (!results) return Refuse(results.error().message);
  (options.json ? PrintJson : PrintTable)(**model, options, kernels->isa, *results);
  return 0;
}

}  // namespace lockstep
