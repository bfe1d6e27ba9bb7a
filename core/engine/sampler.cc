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

#include "core/base/det_math.h"
#include "core/engine/logit_scan.h"

namespace lockstep {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
// A logit is divided by the temperature, which a range must not make 0.
constexpr double kLeastTemperature = 1e-3;

// Whether how often a token came is counted anew for each token that is chosen.
bool Counts(const SamplingParams& params) {
  const bool penalties = params.repetition_penalty != 1 || params.presence_penalty != 0 ||
                         params.frequency_penalty != 0;
  return params.dry.multiplier != 0 || (penalties && params.repeat_last_n >= 0);
}

}  // namespace

PhiloxBlock Philox4x32(const PhiloxBlock& counter, uint32_t key0, uint32_t key1) {
  PhiloxBlock c = counter;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c.word[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c.word[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.word[1] ^ key0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.word[3] ^ key1, static_cast<uint32_t>(p0)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

double UniformAt(uint64_t seed, uint64_t position, uint32_t purpose) {
  const PhiloxBlock counter{
      {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), purpose, 0}};
  const PhiloxBlock random =
      Philox4x32(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  const uint64_t bits = uint64_t{random.word[0]} << 32 | random.word[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Sampler::Sampler(size_t vocab) : logits_(vocab), is_seen_(vocab), output_count_(vocab) {
  candidates_.reserve(vocab);
  seen_.reserve(vocab);
}

size_t Sampler::ExtraBytes(const SamplingParams& params, size_t vocab, size_t longest) {
  const bool dry = params.dry.multiplier != 0;
  return ((Counts(params) ? vocab : 0) + (dry ? longest : 0)) * sizeof(uint32_t);
}

void Sampler::Reset(const SamplingParams& params, std::span<const int32_t> prompt, size_t longest) {
  params_ = params;
  prompt_ = prompt;
  const bool dry = params.dry.multiplier != 0;
  count_ = std::vector<uint32_t>(Counts(params) ? logits_.size() : 0);
  alike_ = {};
  if (dry) alike_.reserve(longest);
  for (const int32_t token : seen_) {
    is_seen_[token] = 0;
    output_count_[token] = 0;
  }
  seen_.clear();
  for (const int32_t token : prompt) MarkSeen(token);
}

void Sampler::MarkSeen(int32_t token) {
  if (is_seen_[token]) return;
  is_seen_[token] = 1;
  seen_.push_back(token);
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
    log_softmax.emplace(logits);
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
  MarkSeen(out.token);
  ++output_count_[out.token];
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
  PenalizeRepeats(output);
  if (params_.dry.multiplier != 0) PenalizeRuns(output);
}

void Sampler::PenalizeRepeats(std::span<const int32_t> output) {
  const float repetition = params_.repetition_penalty;
  const float presence = params_.presence_penalty, frequency = params_.frequency_penalty;
  if (repetition == 1 && presence == 0 && frequency == 0) return;
  const auto penalize = [&](int32_t token, uint32_t count) {
    float x = logits_[token];
    x = x > 0 ? x / repetition : x * repetition;
    if (count > 0) x -= presence + frequency * static_cast<float>(count);
    logits_[token] = CleanLogit(x);
  };
  if (params_.repeat_last_n < 0) {
    for (const int32_t token : seen_) penalize(token, output_count_[token]);
    return;
  }
  // Each token of the window once: the first look counts, the second takes the count away.
  const size_t window = Window(params_.repeat_last_n, output);
  for (size_t i = 0; i < window; ++i) ++count_[FromEnd(i, output)];
  for (size_t i = 0; i < window; ++i) {
    const int32_t token = FromEnd(i, output);
    if (const uint32_t count = std::exchange(count_[token], 0); count > 0) penalize(token, count);
  }
}

size_t Sampler::Window(int32_t last_n, std::span<const int32_t> output) const {
  const size_t all = prompt_.size() + output.size();
  return last_n < 0 ? all : std::min(all, static_cast<size_t>(last_n));
}

int32_t Sampler::FromEnd(size_t i, std::span<const int32_t> output) const {
  return i < output.size() ? output[output.size() - 1 - i]
                           : prompt_[prompt_.size() - 1 - (i - output.size())];
}

// How far the text up to each place is like its end is found for all places in linear time by the
// Z-algorithm, over the text read backwards.
void Sampler::PenalizeRuns(std::span<const int32_t> output) {
  const DryParams& dry = params_.dry;
  const size_t n = Window(dry.last_n, output);
  const auto at = [&](size_t i) { return FromEnd(i, output); };
  size_t most = 0;  // tokens before the first, from the end, that no repetition reaches across
  while (most < n && !(dry.breakers != nullptr && (*dry.breakers)[at(most)])) ++most;
  const auto allowed = static_cast<size_t>(std::max(dry.allowed_length, 0));
  if (most < std::max<size_t>(allowed, 1)) return;
  alike_.assign(n, 0);
  for (size_t i = 1, left = 0, right = 0; i < n; ++i) {
    size_t length = i < right ? std::min<size_t>(alike_[i - left], right - i) : 0;
    while (i + length < n && at(i + length) == at(length)) ++length;
    alike_[i] = static_cast<uint32_t>(length);
    if (i + length > right) left = i, right = i + length;
  }
  // The token that followed a place is the one that would repeat it; its longest run counts.
  const auto run = [&](size_t i) { return std::min<size_t>(alike_[i], most); };
  for (size_t i = 1; i < n; ++i) {
    uint32_t& longest = count_[at(i - 1)];
    if (run(i) >= std::max<size_t>(allowed, 1)) {
      longest = std::max(longest, static_cast<uint32_t>(run(i)));
    }
  }
  const double log_base = DetLog(std::max(1.0, double{dry.base}));
  for (size_t i = 1; i < n; ++i) {
    const int32_t token = at(i - 1);
    const uint32_t longest = std::exchange(count_[token], 0);
    if (longest == 0) continue;
    const double penalty = DetExp(log_base * static_cast<double>(longest - allowed));
    const double lowered = logits_[token] - dry.multiplier * penalty;
    logits_[token] = CleanLogit(static_cast<float>(std::max(lowered, -double{kLargest})));
  }
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
  ForEachExp(logits_, log, [&](size_t i, double weight) {
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
  const auto scaled = [&](float logit) { return (double{logit} - largest) / temperature; };
  double total = 0;  // of the weights that top-k leaves
  if (params_.top_k > 0 && static_cast<size_t>(params_.top_k) < logits_.size()) {
    SelectTop(params_.top_k);
    for (Candidate& c : candidates_) {
      c.weight = DetExp(scaled(c.logit));
      total += c.weight;
    }
    return total;
  }
  candidates_.clear();
  ForEachExp(logits_, scaled, [&](size_t i, double weight) {
    total += weight;
    if (weight > 0) candidates_.push_back({static_cast<int32_t>(i), logits_[i], weight});
  });
  return total;
}

int32_t Sampler::Draw(float largest, uint64_t position) {
  if (params_.top_n_sigma > 0) CutSigma();
  const double temperature = Temperature(largest);
  double total = WeighAll(largest, temperature);
  if (params_.typical_p < 1) {
    KeepTypical(largest, temperature, total);
    total = 0;
    for (const Candidate& c : candidates_) total += c.weight;
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
  if (params_.xtc_probability > 0 && params_.xtc_threshold <= 0.5f) ExcludeTop(position);

  double kept = 0;
  for (const Candidate& c : candidates_) kept += c.weight;
  const double target = UniformAt(params_.seed, position) * kept;
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
  double total = 0;
  for (const Candidate& c : candidates_) total += c.weight;
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
