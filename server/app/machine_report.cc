// Bounds instead of a trial run: they take a quarter of a second for files of any size, which need
// not fit into memory. What the server reaches of them is in tests/bench/FIGURES.md.
#include "server/app/machine_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "server/app/startup_plan.h"
#include "server/app/step_bound.h"
#include "server/host/machine_speed.h"

namespace lockstep {
namespace {

constexpr size_t kStreams = 16;  // an example of many

std::string CountText(double count) {
  if (count >= 1e9) return fmt::format("{:.1f} billion", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.1f} million", count / 1e6);
  return fmt::format("{:.0f}", count);
}

void Print(const char* what, const std::string& value) { fmt::print("  {:<14} {}\n", what, value); }

std::string SizeText(const ModelConfig& config, const ModelCost& cost) {
  std::string text = fmt::format("{} parameters", CountText(cost.parameters()));
  if (config.mixture.experts > 0) {
    text += fmt::format(", {} of them for a token ({} of {} experts)",
                        CountText(cost.active_parameters()), config.mixture.used,
                        config.mixture.experts);
  }
  return text + ", of the family " + config.architecture;
}

// A server's, with all that it has beside the model.
std::string ContextText(const Options& options, const Files& files) {
  const MemoryLimit limit = MemoryLimitOf(options);
  const auto plan = PlanWithin(limit, options, files);
  if (!plan) return "none: " + plan.error().message;
  const ModelConfig& config = (files.model ? files.model : files.encoder)->config();
  const size_t context = files.model ? plan->memory.context : plan->encode.context;
  return fmt::format("{} of the model's {} tokens fit into {} of memory ({})", context,
                     config.context, BytesText(limit.bytes), limit.source);
}

// Memory and threads may be short, or the environment may name kernels that are not there.
Result<MachineSpeed> Measure(const KernelTable* kernels, const ModelCost& cost,
                             const Options& options) {
  if (kernels == nullptr) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--isa {}: this processor has no such kernels", options.isa), "isa");
  }
  try {
    ThreadPool pool(options.threads);
    return MeasureSpeed(*kernels, pool, static_cast<size_t>(cost.Of(1, 1).bytes));
  } catch (const std::exception&) {
    return tl::unexpected<Error>(CaughtError());
  }
}

// Behind nothing, as what is in a context is a person's own business.
std::string SpeedText(const ModelConfig& config, const ModelCost& cost, size_t chunk,
                      const MachineSpeed& speed) {
  const double read = PrefillBound(speed, cost, chunk, chunk).tokens_per_second;
  if (config.encodes()) return fmt::format("at most {:.0f} tokens/s of texts", read);
  const auto written = [&](size_t streams) {
    return DecodeBound(speed, cost, streams, 0).tokens_per_second;
  };
  return fmt::format("at most {:.1f} tokens/s written for one, {:.0f} for {} at once, {:.0f} read",
                     written(1), written(kStreams), kStreams, read);
}

}  // namespace

void PrintMachineReport(ModelFile file, Options options) {
  Files files;
  const ModelConfig config = file.config();
  const ModelCost cost = file.cost();
  (config.encodes() ? files.encoder : files.model) = std::move(file);
  options.threads = std::max<size_t>(1, options.threads);
  SetComputeFloatMode();
  const KernelTable* const kernels = ChooseKernels(options.isa).kernels;
  const auto speed = Measure(kernels, cost, options);
  Print("size", SizeText(config, cost));
  Print("context", ContextText(options, files));
  if (!speed) return Print("speed", "not measured: " + speed.error().message);
  Print("speed", SpeedText(config, cost, options.scheduling.prefill_tokens, *speed));
  Print("measured", fmt::format("{:.1f} GB/s of memory, {:.0f} G products/s with 8 bits and {:.0f} "
                                "with floats; {} threads, {}",
                                speed->bytes / 1e9, speed->integer / 1e9, speed->floating / 1e9,
                                options.threads, kernels->isa));
}

}  // namespace lockstep
