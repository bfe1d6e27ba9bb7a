// One order of steps serves every family; those that a model does without change nothing. A partial
// insertion sort finds the few best of some dozens of experts. The shares of a softmax are kept as
// they are before they are divided by their sum, which cancels out where weights are normalized.
#include "core/transformer/expert_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/kernels/det_math.h"

namespace lockstep {
namespace {

// Below this the weights of the chosen experts are not brought to a sum of 1: f16's least normal.
constexpr double kLeastSum = 0x1p-14;

// exp(x - largest); of infinite scores, that all are as large.
double Share(double x, double largest) {
  const double difference = x - largest;
  return difference == difference ? DetExp(difference) : 1.0;
}

// sqrt(ln(1 + e^x))
double RootSoftplus(double x) {
  return std::sqrt(std::max(x, 0.0) + DetLog(1 + DetExp(-std::fabs(x))));
}

// The first `count` of `chosen` are the best so far, in order; a NaN comes after every number. A
// score moves up past those that are less, and not past equal ones, so that the first of equal ones
// wins. What falls off the end has been beaten.
template <class Score>
void Best(size_t n, const Score& score, std::span<ChosenExpert> chosen) {
  size_t count = 0;
  for (size_t i = 0; i < n; ++i) {
    const auto mine = score(i);
    size_t place = count;
    while (place > 0 && !(score(chosen[place - 1].expert) >= mine) && mine == mine) --place;
    if (place == chosen.size()) continue;
    count = std::min(count + 1, chosen.size());
    std::move_backward(chosen.begin() + static_cast<ptrdiff_t>(place),
                       chosen.begin() + static_cast<ptrdiff_t>(count - 1),
                       chosen.begin() + static_cast<ptrdiff_t>(count));
    chosen[place] = {i, 0};
  }
}

// The groups with the largest sums of their two best experts stay; experts of other groups cannot
// be chosen (node-limited routing; DeepSeek-V3, 2024).
void KeepGroups(const MixtureConfig& c, std::span<double> choice) {
  const size_t size = c.experts / c.groups;
  const auto rank = [&](size_t group) {
    double first = -std::numeric_limits<double>::infinity(), second = first;
    for (size_t i = group * size; i < (group + 1) * size; ++i) {
      if (choice[i] > first) {
        second = first;
        first = choice[i];
      } else if (choice[i] > second) {
        second = choice[i];
      }
    }
    return size > 1 ? first + second : first;
  };
  // A group stays if fewer are better than stay. The best ones are never marked, so that marking
  // another leaves the answer for those that follow as it was.
  for (size_t group = 0; group < c.groups; ++group) {
    const double mine = rank(group);
    size_t better = 0;
    for (size_t other = 0; other < c.groups; ++other) {
      const double theirs = rank(other);
      if (theirs > mine || (theirs == mine && other < group)) ++better;
    }
    if (better < c.groups_used) continue;
    for (size_t i = group * size; i < (group + 1) * size; ++i) {
      if (choice[i] == choice[i]) choice[i] -= 1e300;
    }
  }
}

}  // namespace

void ChooseExperts(const MixtureConfig& c, std::span<const float> scores,
                   std::span<const float> bias, std::span<double> work,
                   std::span<ChosenExpert> chosen) {
  const std::span<double> gate = work.first(c.experts), choice = work.subspan(c.experts);
  const bool softmax = c.gating == Gating::kSoftmax;
  double largest = scores[0], sum = 0;
  if (softmax || c.gating == Gating::kSoftmaxOfChosen) {
    // The largest score is taken away first, so that no exponential overflows.
    for (const float score : scores) {
      if (score > largest || largest != largest) largest = score;
    }
    for (size_t i = 0; i < c.experts; ++i) sum += gate[i] = Share(scores[i], largest);
  } else {
    const auto turn = c.gating == Gating::kSigmoid ? DetSigmoid : RootSoftplus;
    for (size_t i = 0; i < c.experts; ++i) gate[i] = turn(scores[i]);
  }
  if (bias.empty() && c.groups == 1) {
    // Gates rise with scores, which have no rounding of gates in them.
    Best(
        c.experts, [&](size_t i) { return scores[i]; }, chosen);
  } else {
    for (size_t i = 0; i < c.experts; ++i) {
      choice[i] = softmax                                ? gate[i] / sum
                  : c.gating == Gating::kSoftmaxOfChosen ? double{scores[i]}
                                                         : gate[i];
      if (!bias.empty()) choice[i] += bias[i];
    }
    if (c.groups_used < c.groups) KeepGroups(c, choice);
    Best(
        c.experts, [&](size_t i) { return choice[i]; }, chosen);
  }
  double used = 0;
  for (const ChosenExpert& e : chosen) used += gate[e.expert];
  // What weights are divided by: a softmax by its sum, over all or over the chosen; and, of
  // normalized ones, their sum.
  double divisor = 1;
  if (softmax) divisor = sum;
  if (c.gating == Gating::kSoftmaxOfChosen) divisor = used;
  if (c.normalize) divisor = std::max(used, kLeastSum * divisor);
  for (ChosenExpert& e : chosen) {
    e.weight = static_cast<float>(gate[e.expert] / divisor * c.scale);
  }
}

}  // namespace lockstep
