// The reference kernels: plain C++ in the order of operations that kernels.h lays down. Slow, and
// right by inspection; what formulas.h has is used with a register of one float.
#include <algorithm>
#include <bit>
#include <cmath>

#include "core/kernels/formulas.h"
#include "core/kernels/half.h"
#include "core/kernels/kernels.h"
#include "core/kernels/packed_matrix.h"

namespace lockstep {
namespace {

// The register of formulas.h: a float, so that what is computed by it reads as plain C++.
struct Floats {
  using Type = float;
  static constexpr size_t kWidth = 1;

  static float Broadcast(float x) { return x; }
  static float Load(const float* p) { return *p; }
  static void Store(float* p, float v) { *p = v; }
  static float LoadFirst(const float* p, size_t n) { return n == 0 ? 0.0f : *p; }
  static void StoreFirst(float* p, size_t n, float v) {
    if (n != 0) *p = v;
  }
  static float Select(size_t begin, size_t end, float v, float other) {
    return begin == 0 && end != 0 ? v : other;
  }
  static float Fma(float a, float b, float c) { return std::fma(a, b, c); }
  static float Min(float a, float b) { return a < b ? a : b; }
  static float Max(float a, float b) { return a > b ? a : b; }
  static float PowerOfTwo(float n) {
    return n >= -126.0f ? std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23) : 0.0f;
  }
  static float ZeroBelow(float x, float bound, float v) { return x >= bound ? v : 0.0f; }
  static float Sum(float v) { return v; }
  static float Largest(float v) { return v; }
};

using F = Formulas<Floats>;

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void*) requires(!IsQuantized(type) && type != WeightType::kBF16) {
  const size_t panel_bytes = PanelBytes(type, x.k);
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = 0; c < n; ++c) {
      for (size_t r = 0; r < kPanelRows; ++r) {
        float acc = 0.0f;
        for (size_t k = 0; k < x.k; ++k) {
          const float weight = PanelElement(type, w + p * panel_bytes, k, r);
          acc = std::fma(weight, x.f32[c * x.stride + k], acc);
        }
        y[c * ldy + p * kPanelRows + r] = acc;
      }
    }
  }
}

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void*) requires(type == WeightType::kBF16) {
  const size_t panel_bytes = PanelBytes(WeightType::kBF16, x.k);
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = 0; c < n; ++c) {
      for (size_t r = 0; r < kPanelRows; ++r) {
        float acc = 0.0f;
        for (size_t begin = 0; begin < x.k; begin += kQuantBlock) {
          float chain[2] = {0.0f, 0.0f};
          for (size_t k = begin; k < std::min(x.k, begin + kQuantBlock); ++k) {
            const float weight = PanelElement(WeightType::kBF16, w + p * panel_bytes, k, r);
            chain[k % 2] = std::fma(weight, x.f32[c * x.stride + k], chain[k % 2]);
          }
          acc += chain[0] + chain[1];
        }
        y[c * ldy + p * kPanelRows + r] = acc;
      }
    }
  }
}

// Row `lane` of a panel times every column; the chains over the sub-blocks grow in y itself.
template <WeightType type>
void MultiplyRow(const uint8_t* panel, size_t lane, const ActivationView& x, size_t n, float* y,
                 size_t ldy) {
  constexpr QuantFormat kFormat = FormatOf(type).quant;
  const float* sums = kFormat.sub == kQuantBlock ? x.sum : x.sub_sum;
  for (size_t c = 0; c < n; ++c) y[c * ldy] = 0.0f;
  for (size_t k = 0; k < x.k; k += kFormat.sub) {
    const uint8_t* group = panel + k / kFormat.group * GroupBytes(kFormat);
    const uint8_t* block =
        group + HeaderBytes(kFormat) + k % kFormat.group / kQuantBlock * BlockBytes(kFormat);
    const PanelScale s = PanelScaleOf(kFormat, group, k % kFormat.group / kFormat.sub, lane);
    int weight[kFormat.sub];
    for (size_t i = 0; i < kFormat.sub; ++i)
      weight[i] = PanelWeight(kFormat, block, (k + i) % kQuantBlock, lane);
    for (size_t c = 0; c < n; ++c) {
      const int8_t* q = x.q + c * x.k + k;
      int32_t dot = 0;
      // All weights were read above.
      // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
      for (size_t i = 0; i < kFormat.sub; ++i) dot += weight[i] * q[i];
      const float dx = x.scale[(c * x.k + k) / kQuantBlock];
      float& acc = y[c * ldy];
      acc = std::fma(static_cast<float>(dot), s.scale * dx, acc);
      if (kFormat.minimum) acc = std::fma(s.minimum, sums[(c * x.k + k) / kFormat.sub], acc);
    }
  }
}

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void*) requires(IsQuantized(type)) {
  const size_t panel_bytes = PanelBytes(type, x.k);
  for (size_t p = 0; p < panels; ++p) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      MultiplyRow<type>(w + p * panel_bytes, r, x, n, y + p * kPanelRows + r, ldy);
    }
  }
}

// A block's codes where the largest value is scaled to `most`, and their rounding errors.
struct RoundedBlock {
  float scale;
  int8_t q[kQuantBlock];
  float error[kQuantBlock];

  RoundedBlock(const float* x, float amax, float most) {
    const bool zero = amax < 1e-30f;
    const float inverse = zero ? 0.0f : most / amax;
    scale = zero ? 0.0f : amax / most;
    for (size_t i = 0; i < kQuantBlock; ++i) {
      const float code = std::isfinite(x[i]) ? std::nearbyint(x[i] * inverse) : 0.0f;
      q[i] = static_cast<int8_t>(code);
      error[i] = std::fma(-code, scale, x[i]);
    }
  }
};

void Quantize(const float* x, size_t k, const QuantizedRow& out) {
  for (size_t b = 0; b < k / kQuantBlock; ++b, x += kQuantBlock) {
    float amax = 0.0f;
    for (size_t i = 0; i < kQuantBlock; ++i) {
      const float a = std::fabs(x[i]);
      amax = a > amax ? a : amax;
    }
    const RoundedBlock first(x, amax, kActivationMax[0]), second(x, amax, kActivationMax[1]);
    float lane[kLanes] = {};
    for (size_t i = 0; i < kQuantBlock; ++i) {
      float& more = lane[i % kLanes];  // error of the second than of the first
      more = std::fma(-first.error[i], first.error[i], more);
      more = std::fma(second.error[i], second.error[i], more);
    }
    const RoundedBlock& best = F::AddLanes(lane) < 0 ? second : first;
    int32_t sum[2] = {0, 0};
    for (size_t i = 0; i < kQuantBlock; ++i) {
      out.q[b * kQuantBlock + i] = best.q[i];
      sum[i / 16] += best.q[i];
    }
    out.scale[b] = best.scale;
    out.offset[b] = -128 * (sum[0] + sum[1]);
    out.sum[b] = best.scale * static_cast<float>(sum[0] + sum[1]);
    for (size_t half = 0; half < 2; ++half) {
      out.sub_offset[2 * b + half] = -128 * sum[half];
      out.sub_sum[2 * b + half] = best.scale * static_cast<float>(sum[half]);
    }
  }
}

void ToBFloat16(const float* x, size_t k, uint16_t* bf16, float* f32) {
  for (size_t i = 0; i < k; ++i) {
    bf16[i] = FloatToBFloat16(x[i]);
    f32[i] = BFloat16ToFloat(bf16[i]);
  }
}

void Rope(float* x, size_t heads, size_t head_dim, const float* cos, const float* sin,
          size_t pairs) {
  for (size_t h = 0; h < heads; ++h, x += head_dim) {
    for (size_t i = 0; i < pairs; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = std::fma(a, cos[i], -(b * sin[i]));
      x[2 * i + 1] = std::fma(a, sin[i], b * cos[i]);
    }
  }
}

void ToHalf(const float* x, size_t n, uint16_t* y) {
  for (size_t i = 0; i < n; ++i) y[i] = FloatToHalf(x[i]);
}

KvBlock BlockOf(const AttentionJob& job, size_t position) {
  const uint8_t* block = job.kv.blocks + position / kAttentionBlock * job.kv.stride;
  return BlockAt(job.kv.type, block, job.head);
}

// Value i of a cache's int8; or, of Q4_0, of the byte that has it in its upper or lower half.
float Integer(KvType type, const void* from, size_t i, bool upper) {
  if (type == KvType::kQ8_0) return static_cast<float>(static_cast<const int8_t*>(from)[i]);
  const int byte = static_cast<const uint8_t*>(from)[i];
  return static_cast<float>((upper ? byte >> 4 : byte & 15) - 8);
}

float Key(const AttentionJob& job, size_t position, size_t d) {
  if (job.keys != nullptr) return job.keys[position * job.key_stride + d];
  const KvBlock kv = BlockOf(job, position);
  const size_t group = position % kAttentionBlock / kKeyGroup, lane = position % kKeyGroup;
  const size_t i = (group * job.head.key + d) * kKeyGroup + lane;
  if (job.kv.type == KvType::kF16) return HalfToFloat(static_cast<const uint16_t*>(kv.keys)[i]);
  const size_t blocks = job.head.key / kQuantBlock;
  const uint16_t scale = kv.key_scales[(group * blocks + d / kQuantBlock) * kKeyGroup + lane];
  const size_t pair = (group * job.head.key / 2 + d / 2) * kKeyGroup + lane;
  const bool bytes = job.kv.type == KvType::kQ8_0;
  return Integer(job.kv.type, kv.keys, bytes ? i : pair, d % 2 == 1) * HalfToFloat(scale);
}

float Value(const AttentionJob& job, size_t position, size_t d) {
  if (job.keys != nullptr) return job.values[position * job.value_stride + d];
  if (job.head.value_in_key) return Key(job, position, d);
  const KvBlock kv = BlockOf(job, position);
  const size_t i = position % kAttentionBlock * job.head.value + d;
  if (job.kv.type == KvType::kF16) return HalfToFloat(static_cast<const uint16_t*>(kv.values)[i]);
  constexpr size_t kHalf = kQuantBlock / 2;
  const size_t block = i / kQuantBlock, at = i % kQuantBlock, pair = block * kHalf + at % kHalf;
  const bool bytes = job.kv.type == KvType::kQ8_0;
  return Integer(job.kv.type, kv.values, bytes ? i : pair, at >= kHalf) *
         HalfToFloat(kv.value_scales[block]);
}

void AttendQuery(const AttentionJob& job, size_t row, size_t head) {
  const size_t first = job.First(row), end = job.End(row), position = job.position + row;
  const float* const q = job.q + row * job.q_stride + head * job.head.key;
  float* const out = job.out + row * job.out_stride + head * job.head.value;
  const bool sink = job.sinks != nullptr;
  float m = sink ? job.sinks[head] : -INFINITY, lane[kLanes] = {sink ? 1.0f : 0.0f};
  float s[kAttentionBlock];
  for (size_t d = 0; d < job.head.value; ++d) out[d] = 0.0f;
  const size_t first_block = first / kAttentionBlock * kAttentionBlock;
  for (size_t begin = first_block; begin < end; begin += kAttentionBlock) {
    const auto attended = [=](size_t j) { return begin + j >= first && begin + j < end; };
    float block_max = m;
    for (size_t j = 0; j < kAttentionBlock; ++j) {
      if (!attended(j)) {
        s[j] = -INFINITY;
        continue;
      }
      float dot = 0.0f;
      for (size_t d = 0; d < job.head.key; ++d) dot = std::fma(q[d], Key(job, begin + j, d), dot);
      s[j] = dot * job.scale;
      if (job.soft_cap != 0) s[j] = F::SoftCap(s[j], job.soft_cap);
      if (job.slopes != nullptr) {
        const size_t at = begin + j, away = at > position ? at - position : position - at;
        s[j] = std::fma(-job.slopes[head], static_cast<float>(away), s[j]);
      }
      block_max = s[j] > block_max ? s[j] : block_max;
    }
    const float c = F::Exp(m - block_max);
    m = block_max;
    for (float& l : lane) l *= c;
    for (size_t d = 0; d < job.head.value; ++d) out[d] *= c;
    for (size_t j = 0; j < kAttentionBlock; ++j) {
      const float p = F::Exp(s[j] - m);
      lane[j % kLanes] += p;
      if (!attended(j)) continue;
      for (size_t d = 0; d < job.head.value; ++d) {
        out[d] = std::fma(p, Value(job, begin + j, d), out[d]);
      }
    }
  }
  const float total = F::AddLanes(lane);
  for (size_t d = 0; d < job.head.value; ++d) out[d] /= total;
}

void Attention(const AttentionJob& job) {
  for (size_t row = 0; row < job.rows; ++row) {
    for (size_t h = 0; h < job.heads; ++h) AttendQuery(job, row, h);
  }
}

constexpr ByWeightType<KernelTable::MatMulFn> kMatMul =
    TableOf([]<WeightType type>() -> KernelTable::MatMulFn { return MatMul<type>; });
constexpr KernelTable kTable =
    KernelTableOf<Floats>("scalar", kMatMul.of, Quantize, ToBFloat16, Rope, ToHalf, Attention);

}  // namespace

size_t AttentionScratchFloats(const HeadShape& head) {
  // A block of keys and of values as floats, rows of whole vectors; and of each query the lanes of
  // l, its m, and a block of p for the tile in hand.
  return kAttentionBlock * (PaddedRows(head.key) + PaddedRows(head.value)) +
         kAttentionQueries * (kLanes + 1) + 8 * kAttentionBlock;
}

size_t MatMulScratchBytes(size_t k) {
  return kExpandedPanels * kPanelRows * (k + 2 * sizeof(float) * (k / 16));
}

const KernelTable& ScalarKernels() { return kTable; }

}  // namespace lockstep
