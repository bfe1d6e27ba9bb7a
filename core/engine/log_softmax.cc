// The sum is in double and in the order of the ids, with our own exp and log, so that it is one
// number on every machine. The largest logit is taken out of it, so that no exp overflows (the
// log-sum-exp trick).
#include "core/engine/log_softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/engine/logit_scan.h"
#include "core/kernels/det_math.h"

namespace lockstep {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();

// Total: no two tokens are equal in it.
bool Better(const TokenLogprob& a, const TokenLogprob& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
}

}  // namespace

LogSoftmax::LogSoftmax(std::span<const float> logits, const KernelTable& kernels)
    : logits_(logits), largest_(Largest(logits)), log_sum_(0), finite_(AnyFinite(logits)) {
  if (!finite_) return;
  double sum = 0;
  ForEachExp(
      kernels, logits, [this](float x) { return CleanLogit(x) - largest_; },
      [&](size_t, double exp) { sum += exp; });
  log_sum_ = DetLog(sum);
}

double LogSoftmax::Of(float logit) const { return CleanLogit(logit) - largest_ - log_sum_; }

float LogSoftmax::operator[](int32_t token) const {
  const double logprob = Of(logits_[static_cast<size_t>(token)]);
  return static_cast<float>(std::max(logprob, -double{kLargest}));
}

size_t LogSoftmax::Rank(int32_t token) const {
  const auto at = static_cast<size_t>(token);
  const float logit = CleanLogit(logits_[at]);
  size_t rank = 1;
  for (size_t i = 0; i < logits_.size(); ++i) {
    const float other = CleanLogit(logits_[i]);
    rank += other > logit || (other == logit && i < at) ? 1 : 0;
  }
  return rank;
}

size_t LogSoftmax::Top(std::span<TokenLogprob> top) const {
  if (top.empty()) return 0;
  // A heap of the best so far, by their logits, the worst of them in front: almost every later
  // token is turned away by one comparison. Ids ascend, so an equal logit never displaces one that
  // is there.
  size_t count = 0;
  for (size_t i = 0;; ++i) {
    i = NextAbove(logits_, i, count == top.size() ? top.front().logprob : -kInfinity);
    if (i == logits_.size()) break;
    const float logit = CleanLogit(logits_[i]);
    if (count == top.size()) {
      if (logit <= top.front().logprob) continue;  // two that are infinite
      std::pop_heap(top.begin(), top.end(), Better);
      --count;
    }
    top[count++] = {static_cast<int32_t>(i), logit};
    std::push_heap(top.begin(), top.begin() + static_cast<ptrdiff_t>(count), Better);
  }
  const std::span<TokenLogprob> found = top.first(count);
  std::sort_heap(found.begin(), found.end(), Better);
  for (TokenLogprob& one : found) one.logprob = (*this)[one.token];
  return count;
}

}  // namespace lockstep
