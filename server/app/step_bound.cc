// Memory and products can overlap, so that the slower of the two bounds a step; products with
// integers and with floats are the same units' work, and add up.
#include "server/app/step_bound.h"

#include <algorithm>

namespace lockstep {
namespace {

// Seconds of a step, by what is needed.
struct Seconds {
  double memory = 0, products = 0;
  double longer() const { return std::max(memory, products); }
};

Seconds SecondsOf(const MachineSpeed& speed, const StepCost& cost, double kv_bytes) {
  return {(cost.bytes + kv_bytes) / speed.bytes,
          cost.integer / speed.integer + cost.floating / speed.floating};
}

}  // namespace

StepBound DecodeBound(const MachineSpeed& speed, const ModelCost& cost, size_t streams,
                      size_t kv_bytes) {
  const auto n = static_cast<double>(streams);
  const Seconds step =
      SecondsOf(speed, cost.Of(streams, streams), n * static_cast<double>(kv_bytes));
  return {n / step.longer(), step.memory >= step.products ? "memory" : "products"};
}

StepBound PrefillBound(const MachineSpeed& speed, const ModelCost& cost, size_t tokens,
                       size_t chunk) {
  double seconds = 0, memory = 0;
  for (size_t done = 0; done < tokens; done += chunk) {
    const size_t rows = std::min(chunk, tokens - done);
    const Seconds step = SecondsOf(speed, cost.Of(rows, done + rows == tokens ? 1 : 0), 0);
    seconds += step.longer();
    if (step.memory >= step.products) memory += step.longer();
  }
  return {static_cast<double>(tokens) / seconds, 2 * memory >= seconds ? "memory" : "products"};
}

}  // namespace lockstep
