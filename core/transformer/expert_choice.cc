// A partial insertion sort finds the few largest of some dozens of scores; the softmax is taken
// over the chosen ones alone where the model normalizes, since the sum over all would cancel out.
#include "core/transformer/expert_choice.h"

#include <algorithm>

#include "core/base/det_math.h"

namespace lockstep {
namespace {

// exp(x - largest); of infinite scores, that all are as large.
double Share(double x, double largest) {
  const double difference = x - largest;
  return difference == difference ? DetExp(difference) : 1.0;
}

}  // namespace

void ChooseExperts(const ModelConfig& config, std::span<const float> scores,
                   std::span<ChosenExpert> chosen) {
  // The first `count` of `chosen` are the best so far, in order; a NaN comes after every number. A
  // score moves up past those that are less, and not past equal ones, so that the first of equal
  // ones wins. What falls off the end has been beaten.
  size_t count = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    size_t place = count;
    while (place > 0 && !(scores[chosen[place - 1].expert] >= scores[i]) && scores[i] == scores[i])
      --place;
    if (place == chosen.size()) continue;
    count = std::min(count + 1, chosen.size());
    std::move_backward(chosen.begin() + static_cast<ptrdiff_t>(place),
                       chosen.begin() + static_cast<ptrdiff_t>(count - 1),
                       chosen.begin() + static_cast<ptrdiff_t>(count));
    chosen[place] = {i, 0};
  }
  // Softmax over all of them, or, as its sum would cancel, over the chosen ones alone. The largest
  // score is taken away first, so that no exponential overflows.
  const double largest = scores[chosen[0].expert];
  double sum = 0;
  if (config.normalize_experts) {
    for (const ChosenExpert& c : chosen) sum += Share(scores[c.expert], largest);
  } else {
    for (const float score : scores) sum += Share(score, largest);
  }
  for (ChosenExpert& c : chosen) {
    const double weight = Share(scores[c.expert], largest) / sum;
    c.weight = static_cast<float>(weight * config.expert_scale);
  }
}

}  // namespace lockstep
