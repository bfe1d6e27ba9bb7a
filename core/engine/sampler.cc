// The draw is by the inverse of the distribution function: the candidates' weights are added up in
// a fixed order until they pass a uniform number, and that number is a function of seed and
// position (a counter-based generator, Salmon et al., 2011), so that a token can be drawn again
// without what was drawn before. All sums are in double and in the order of the ids or of Better,
// which is total: no sort, thread or vector width can change a bit.
//
// Most of the time would go into sorting a vocabulary of 100,000 of which 40 matter. So top-k is a
// heap of k, and top-p sorts only as far as its sum needs.
#include "core/engine/sampler.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <optional>

#include "core/base/det_math.h"

namespace lockstep {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();

// A logit as the sampler sees it: an ordered number that is finite, or -infinity for "never".
float Clean(float x) { return x == x ? std::min(x, kLargest) : -kInfinity; }

// log(softmax(x)) in double, summed in order of the ids.
struct LogSoftmax {
  explicit LogSoftmax(std::span<const float> logits)
      : largest(*std::max_element(logits.begin(), logits.end())) {
    double sum = 0;
    for (const float x : logits) sum += DetExp(x - largest);
    log_sum = DetLog(sum);
  }
  float operator()(float x) const {
    return static_cast<float>(std::max(x - largest - log_sum, -double{kLargest}));
  }

  double largest, log_sum;
};

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

double UniformAt(uint64_t seed, uint64_t position) {
  const PhiloxBlock counter{
      {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0}};
  const PhiloxBlock random =
      Philox4x32(counter, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  const uint64_t bits = uint64_t{random.word[0]} << 32 | random.word[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Sampler::Sampler(size_t vocab) : logits_(vocab), is_seen_(vocab), output_count_(vocab) {
  candidates_.reserve(vocab);
  seen_.reserve(vocab);
}

void Sampler::Reset(const SamplingParams& params, std::span<const int32_t> prompt) {
  params_ = params;
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
                                     std::span<const uint64_t> allowed) {
  assert(logits.size() == logits_.size());
  if (!CopyLogits(logits)) {
    return Fail(ErrorKind::kInternal, "the model gave no finite logit, so no token can be chosen");
  }
  SampledToken out;
  std::optional<LogSoftmax> log_softmax;
  if (params_.logprobs >= 0) {
    log_softmax.emplace(logits_);
    SelectTop(params_.logprobs);
    out.top.reserve(candidates_.size());
    for (const Candidate& c : candidates_) out.top.push_back({c.token, (*log_softmax)(c.logit)});
  }
  Adjust();
  if (!allowed.empty()) ApplyMask(allowed);
  const int32_t best = ArgMax();
  if (logits_[best] == -kInfinity) {
    return Fail(ErrorKind::kInternal,
                "bias, penalties and grammar left no finite logit, so no token can be chosen");
  }
  out.token =
      params_.temperature > 0 ? Draw(logits_[best], UniformAt(params_.seed, position)) : best;
  if (log_softmax) out.logprob = (*log_softmax)(Clean(logits[out.token]));
  MarkSeen(out.token);
  ++output_count_[out.token];
  return out;
}

bool Sampler::CopyLogits(std::span<const float> logits) {
  bool any_finite = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    any_finite |= std::isfinite(logits[i]);
    logits_[i] = Clean(logits[i]);
  }
  return any_finite;
}

void Sampler::Adjust() {
  for (const auto& [token, bias] : params_.logit_bias) {
    logits_[token] = Clean(logits_[token] + bias);
  }
  const float repetition = params_.repetition_penalty;
  const float presence = params_.presence_penalty, frequency = params_.frequency_penalty;
  if (repetition == 1 && presence == 0 && frequency == 0) return;
  for (const int32_t token : seen_) {
    float x = logits_[token];
    x = x > 0 ? x / repetition : x * repetition;
    const uint32_t count = output_count_[token];
    if (count > 0) x -= presence + frequency * static_cast<float>(count);
    logits_[token] = Clean(x);
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
  return static_cast<int32_t>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
}

int32_t Sampler::Draw(float largest, double uniform) {
  const auto weight = [&](float logit) {
    return DetExp((double{logit} - largest) / params_.temperature);
  };
  double total = 0;  // of the weights that top-k leaves
  if (params_.top_k > 0 && static_cast<size_t>(params_.top_k) < logits_.size()) {
    SelectTop(params_.top_k);
    for (Candidate& c : candidates_) {
      c.weight = weight(c.logit);
      total += c.weight;
    }
  } else {
    candidates_.clear();
    for (size_t i = 0; i < logits_.size(); ++i) {
      if (logits_[i] == -kInfinity) continue;
      const double w = weight(logits_[i]);
      total += w;
      if (w > 0) candidates_.push_back({static_cast<int32_t>(i), logits_[i], w});
    }
  }
  // Each of top-p and min-p keeps the beginning of the same order, so the one that leaves less to
  // sort may go first.
  const double min_weight = std::min(1.0, double{params_.min_p});
  std::erase_if(candidates_, [=](const Candidate& c) { return c.weight < min_weight; });
  if (params_.top_p < 1) KeepTopP(params_.top_p * total);

  double kept = 0;
  for (const Candidate& c : candidates_) kept += c.weight;
  const double target = uniform * kept;
  double sum = 0;
  for (const Candidate& c : candidates_) {
    sum += c.weight;
    if (target < sum) return c.token;
  }
  return candidates_.back().token;  // rounding left the target at the very end
}

bool Sampler::Better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

void Sampler::SelectTop(size_t k) {
  candidates_.clear();
  if (k == 0) return;
  // A heap of the k best so far, the worst of them in front: almost every later token is turned
  // away by one comparison. Ids ascend, so an equal logit never displaces one that is there.
  for (size_t i = 0; i < logits_.size(); ++i) {
    const float logit = logits_[i];
    if (logit == -kInfinity) continue;
    if (candidates_.size() == k) {
      if (logit <= candidates_.front().logit) continue;
      std::pop_heap(candidates_.begin(), candidates_.end(), Better);
      candidates_.pop_back();
    }
    candidates_.push_back({static_cast<int32_t>(i), logit, 0});
    std::push_heap(candidates_.begin(), candidates_.end(), Better);
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), Better);
}

void Sampler::KeepTopP(double mass) {
  const auto begin = candidates_.begin();
  size_t sorted = 0;  // sort only as far as the sum needs, in growing pieces
  double sum = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (i == sorted) {
      sorted = std::min(candidates_.size(), std::max<size_t>(64, 4 * sorted));
      std::nth_element(begin + i, begin + sorted, candidates_.end(), Better);
      std::sort(begin + i, begin + sorted, Better);
    }
    sum += candidates_[i].weight;
    if (sum >= mass) {
      candidates_.resize(i + 1);
      return;
    }
  }
}

}  // namespace lockstep
