// The draw is by the inverse of the distribution function: the candidates' weights are added up in
// a fixed order until they pass a uniform number, and that number is a function of seed and
// position (a counter-based generator, Salmon et al., 2011), so that a token can be drawn again
// without what was drawn before. All sums are in double and in the order of the ids or of Better,
// which is total: no sort, thread or vector width can change a bit.
//
// Most of the time would go into sorting a vocabulary of 100,000 of which 40 matter. So top-k is a
// heap of k, and top-p sorts only as far as its sum needs, and only what may be in it.
#include "core/engine/sampler.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "core/engine/logit_scan.h"
#include "core/engine/philox.h"
#include "core/kernels/det_math.h"

namespace lockstep {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// A logit is divided by the temperature, which a range must not make 0.
constexpr double kLeastTemperature = 1e-3;

// The exponent of a logit's weight, which is 1 for the largest.
auto Scaled(float largest, double temperature) {
  return [=](float logit) { return (double{logit} - largest) / temperature; };
}

bool CutsByTopK(const SamplingParams& params, size_t vocab) {
  return params.top_k > 0 && static_cast<size_t>(params.top_k) < vocab;
}
bool MayExclude(const SamplingParams& params) {
  return params.xtc_probability > 0 && params.xtc_threshold <= 0.5f;
}
// Whether not every token that has a weight may be drawn.
bool CutsTail(const SamplingParams& params, size_t vocab) {
  return CutsByTopK(params, vocab) || params.typical_p < 1 || params.min_p > 0 ||
         params.top_p < 1 || MayExclude(params);
}

// In the order of the candidates.
double TotalWeight(const auto& candidates) {
  double total = 0;
  for (const auto& candidate : candidates) total += candidate.weight;
  return total;
}

}  // namespace

Sampler::Sampler(size_t vocab, const KernelTable& kernels)
    : kernels_(&kernels), penalties_(vocab), logits_(vocab), sums_(Sums(vocab)) {
  candidates_.reserve(vocab);
}

void Sampler::Reset(const SamplingParams& params, std::span<const int32_t> prompt, size_t longest) {
  params_ = params;
  penalties_.Reset(params, prompt, longest);
}

Result<SampledToken> Sampler::Sample(std::span<const float> logits, uint64_t position,
                                     std::span<const uint64_t> allowed,
                                     std::span<const int32_t> output) {
  assert(logits.size() == logits_.size());
  if (!CopyLogits(logits)) {
    return Fail(ErrorKind::kInternal, "the model gave no finite logit, so no token can be chosen");
  }
  SampledToken out;
  std::optional<LogSoftmax> log_softmax;
  if (params_.logprobs >= 0) {
    log_softmax.emplace(logits, *kernels_);
    out.top.resize(std::min(static_cast<size_t>(params_.logprobs), logits.size()));
    out.top.resize(log_softmax->Top(out.top));
  }
  Adjust(output);
  if (!allowed.empty()) ApplyMask(allowed);
  const int32_t best = ArgMax();
  if (logits_[best] == -kInfinity) {
    return Fail(ErrorKind::kInternal,
                "bias, penalties and grammar left no finite logit, so no token can be chosen");
  }
  out.token = params_.temperature > 0 ? Draw(logits_[best], position) : best;
  if (log_softmax) out.logprob = (*log_softmax)[out.token];
  penalties_.Count(out.token);
  return out;
}

bool Sampler::CopyLogits(std::span<const float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) logits_[i] = CleanLogit(logits[i]);
  return AnyFinite(logits);
}

void Sampler::Adjust(std::span<const int32_t> output) {
  for (const auto& [token, bias] : params_.logit_bias) {
    logits_[token] = CleanLogit(logits_[token] + bias);
  }
  penalties_.Apply(params_, output, logits_);
}

void Sampler::ApplyMask(std::span<const uint64_t> allowed) {
  assert(allowed.size() == (logits_.size() + 63) / 64);
  for (size_t word = 0; word < allowed.size(); ++word) {
    const uint64_t bits = allowed[word];
    if (bits == ~uint64_t{0}) continue;
    const size_t begin = 64 * word, end = std::min(begin + 64, logits_.size());
    for (size_t i = begin; i < end; ++i) {
      logits_[i] = (bits >> (i - begin) & 1) != 0 ? logits_[i] : -kInfinity;
    }
  }
}

int32_t Sampler::ArgMax() const {
  return static_cast<int32_t>(std::ranges::find(logits_, Largest(logits_)) - logits_.begin());
}

// The mean and the deviation are of the logits that are possible at all.
void Sampler::CutSigma() {
  double sum = 0, squares = 0;
  size_t count = 0;
  for (const float x : logits_) {
    if (x == -kInfinity) continue;
    sum += x;
    ++count;
  }
  const double mean = sum / static_cast<double>(count);
  for (const float x : logits_) {
    if (x != -kInfinity) squares += (x - mean) * (x - mean);
  }
  const double deviation = std::sqrt(squares / static_cast<double>(count));
  const double least = logits_[ArgMax()] - params_.top_n_sigma * deviation;
  for (float& x : logits_) x = x < least ? -kInfinity : x;
}

double Sampler::Temperature(float largest) const {
  const double temperature = params_.temperature, range = params_.dynatemp_range;
  if (range <= 0) return temperature;
  double total = 0, weighted = 0;  // of weights, and of weights times their logarithms
  size_t count = 0;
  const auto log = [=](float x) { return double{x} - largest; };
  ForEachExp(*kernels_, logits_, log, [&](size_t i, double weight) {
    total += weight;
    if (weight > 0) weighted += weight * log(logits_[i]);
    count += logits_[i] == -kInfinity ? 0 : 1;
  });
  if (count < 2) return temperature;
  // Entropy over its most: 0 where one token is certain, 1 where all are equally likely.
  const double entropy = DetLog(total) - weighted / total;
  const double share = std::clamp(entropy / DetLog(static_cast<double>(count)), 0.0, 1.0);
  const double least = std::max(kLeastTemperature, temperature - range);
  const double power = share > 0 ? DetExp(params_.dynatemp_exponent * DetLog(share)) : 0;
  return least + (temperature + range - least) * power;
}

double Sampler::WeighAll(float largest, double temperature) {
  const auto scaled = Scaled(largest, temperature);
  double total = 0;  // of the weights that top-k leaves
  if (CutsByTopK(params_, logits_.size())) {
    SelectTop(params_.top_k);
    for (Candidate& c : candidates_) {
      c.weight = DetExp(scaled(c.logit));
      total += c.weight;
    }
    return total;
  }
  candidates_.clear();
  ForEachExp(*kernels_, logits_, scaled, [&](size_t i, double weight) {
    total += weight;
    if (weight > 0) candidates_.push_back({static_cast<int32_t>(i), logits_[i], weight});
  });
  return total;
}

// What Draw does where all weights are candidates in the order of their ids, without a list of
// them: the sums on the way say in which piece the target lies, whose weights are made again.
int32_t Sampler::DrawOfAll(float largest, double temperature, uint64_t position) {
  const auto scaled = Scaled(largest, temperature);
  double total = 0;
  ForEachExp(*kernels_, logits_, scaled, [&](size_t i, double weight) {
    if (i % kExpsAtOnce == 0) sums_[i / kExpsAtOnce] = total;
    total += weight;
  });
  const double target = UniformAt(params_.seed, position) * total;
  const auto behind = static_cast<size_t>(std::ranges::lower_bound(sums_, target) - sums_.begin());
  const size_t piece = behind == 0 ? 0 : behind - 1;  // some weight is in it or behind it
  double sum = sums_[piece];
  size_t last = 0;
  for (size_t i = piece * kExpsAtOnce; i < logits_.size(); ++i) {
    const double weight = DetExp(scaled(logits_[i]));
    if (weight > 0) last = i;
    sum += weight;
    if (target < sum) break;
  }
  return static_cast<int32_t>(last);  // rounding may have left the target at the very end
}

int32_t Sampler::Draw(float largest, uint64_t position) {
  if (params_.top_n_sigma > 0) CutSigma();
  const double temperature = Temperature(largest);
  if (!CutsTail(params_, logits_.size())) return DrawOfAll(largest, temperature, position);
  double total = WeighAll(largest, temperature);
  if (params_.typical_p < 1) {
    KeepTypical(largest, temperature, total);
    total = TotalWeight(candidates_);
  }
  // Each of top-p and min-p keeps the beginning of the same order, so the one that leaves less to
  // sort may go first. The largest weight is 1 unless typical sampling has taken it away.
  if (params_.min_p > 0) {
    double most = 0;
    for (const Candidate& c : candidates_) most = std::max(most, c.weight);
    const double min_weight = most * std::min(1.0, double{params_.min_p});
    std::erase_if(candidates_, [=](const Candidate& c) { return c.weight < min_weight; });
  }
  if (params_.top_p < 1) {
    const double mass = params_.top_p * total;
    KeepFirst(mass, HeavyFirst(mass, largest), Better);
  }
  if (MayExclude(params_)) ExcludeTop(position);

  const double target = UniformAt(params_.seed, position) * TotalWeight(candidates_);
  double sum = 0;
  for (const Candidate& c : candidates_) {
    sum += c.weight;
    if (target < sum) return c.token;
  }
  return candidates_.back().token;  // rounding left the target at the very end
}

// The tokens whose surprise is nearest to the entropy, as many as have together the mass.
void Sampler::KeepTypical(double largest, double temperature, double total) {
  const double log_total = DetLog(total);
  const auto surprise = [&](const Candidate& c) {
    return log_total - (c.logit - largest) / temperature;
  };
  double entropy = 0;
  for (const Candidate& c : candidates_) entropy += c.weight / total * surprise(c);
  KeepFirst(params_.typical_p * total, candidates_.size(),
            [&](const Candidate& a, const Candidate& b) {
              const double x = std::abs(surprise(a) - entropy), y = std::abs(surprise(b) - entropy);
              return x != y ? x < y : Better(a, b);
            });
}

void Sampler::ExcludeTop(uint64_t position) {
  if (UniformAt(params_.seed, position, /*purpose=*/1) > params_.xtc_probability) return;
  const double total = TotalWeight(candidates_);
  const Candidate* last = nullptr;  // of those that are likely enough
  for (const Candidate& c : candidates_) {
    const bool likely = c.weight >= params_.xtc_threshold * total;
    if (likely && (last == nullptr || Better(*last, c))) last = &c;
  }
  if (last == nullptr) return;
  std::erase_if(candidates_, [kept = *last](const Candidate& c) { return Better(c, kept); });
}

bool Sampler::Better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

void Sampler::SelectTop(size_t k) {
  candidates_.clear();
  if (k == 0) return;
  // A heap of the k best so far, the worst of them in front: almost every later token is turned
  // away by one comparison. Ids ascend, so an equal logit never displaces one that is there.
  for (size_t i = 0;; ++i) {
    const bool full = candidates_.size() == k;
    i = NextAbove(logits_, i, full ? candidates_.front().logit : -kInfinity);
    if (i == logits_.size()) break;
    if (full) {
      std::pop_heap(candidates_.begin(), candidates_.end(), Better);
      candidates_.pop_back();
    }
    candidates_.push_back({static_cast<int32_t>(i), logits_[i], 0});
    std::push_heap(candidates_.begin(), candidates_.end(), Better);
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), Better);
}

// By a histogram of the logits, in eighths below the largest. A bucket's sum is not in the order of
// Better, but which are in front is only where KeepFirst begins to sort.
size_t Sampler::HeavyFirst(double mass, float largest) {
  constexpr size_t kBuckets = 256;
  const auto bucket = [largest](const Candidate& c) {
    return static_cast<size_t>(std::min(8 * (largest - c.logit), float{kBuckets - 1}));
  };
  double weight[kBuckets] = {};
  for (const Candidate& c : candidates_) weight[bucket(c)] += c.weight;
  size_t last = 0;
  for (double sum = weight[0]; sum < mass && last + 1 < kBuckets; sum += weight[last]) ++last;
  const auto rest = std::partition(candidates_.begin(), candidates_.end(),
                                   [&](const Candidate& c) { return bucket(c) <= last; });
  return static_cast<size_t>(rest - candidates_.begin());
}

template <class Order>
void Sampler::KeepFirst(double mass, size_t front, const Order& before) {
  const auto begin = candidates_.begin();
  size_t sorted = 0;  // sort only as far as the sum needs, in growing pieces
  double sum = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (i == sorted) {
      const size_t end = i < front ? front : candidates_.size();
      sorted = std::min(end, std::max<size_t>(64, 4 * sorted));
      std::nth_element(begin + i, begin + sorted, begin + end, before);
      std::sort(begin + i, begin + sorted, before);
    }
    sum += candidates_[i].weight;
    if (sum >= mass) {
      candidates_.resize(i + 1);
      return;
    }
  }
}

}  // namespace lockstep
