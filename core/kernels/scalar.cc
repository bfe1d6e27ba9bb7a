// The reference kernels: plain C++ in the order of operations that kernels.h lays down. Slow, and
// right by inspection.
#include <bit>
#include <cmath>

#include "core/kernels/exp_constants.h"
#include "core/kernels/kernels.h"
#include "core/kernels/packed_matrix.h"

namespace lockstep {
namespace {

float Exp(float x) {
  namespace c = exp_constants;
  if (!(x >= c::kLowest)) return 0.0f;
  x = x > c::kHighest ? c::kHighest : x;
  const float n = std::fma(x, c::kLog2E, c::kRound) - c::kRound;
  const float r = std::fma(n, -c::kLn2Low, std::fma(n, -c::kLn2High, x));
  float p = c::kC[0];
  for (int i = 1; i < 6; ++i) p = std::fma(p, r, c::kC[i]);
  p = std::fma(p, r * r, r + 1.0f);
  const int32_t power = static_cast<int32_t>(n) + 127;
  return p * std::bit_cast<float>(power << 23);
}

float AddLanes(float* lane) {
  for (size_t half = kLanes / 2; half != 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0];
}

// Reads the weight of `lane` at column k of a panel of a float type.
float LoadWeight(WeightType type, const uint8_t* panel, size_t k, size_t lane) {
  const size_t i = k * kPanelRows + lane;
  if (type == WeightType::kF32) return reinterpret_cast<const float*>(panel)[i];
  const uint16_t bits = reinterpret_cast<const uint16_t*>(panel)[i];
  return type == WeightType::kF16 ? HalfToFloat(bits) : BFloat16ToFloat(bits);
}

template <WeightType type>
void MatMulFloat(const uint8_t* w, size_t panels, const ActivationView& x, size_t first, size_t n,
                 float* y, size_t ldy) {
  const size_t panel_bytes = PanelBytes(type, x.k);
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = first; c < first + n; ++c) {
      for (size_t r = 0; r < kPanelRows; ++r) {
        float acc = 0.0f;
        for (size_t k = 0; k < x.k; ++k) {
          acc = std::fma(LoadWeight(type, w + p * panel_bytes, k, r), x.f32[c * x.stride + k], acc);
        }
        y[c * ldy + p * kPanelRows + r] = acc;
      }
    }
  }
}

// The integer weight at position i (0 to 31) of row `lane` in a panel's block.
template <WeightType type>
int Code(const uint8_t* block, size_t i, size_t lane) {
  const uint8_t* q = block + 2 * kPanelRows;
  if constexpr (type == WeightType::kQ8_0) {
    return static_cast<int8_t>(q[(i / 4 * kPanelRows + lane) * 4 + i % 4]);
  } else {
    const uint8_t byte = q[(i / 8 * kPanelRows + lane) * 4 + i % 4];
    return (i % 8 < 4 ? byte & 15 : byte >> 4) - 8;
  }
}

template <WeightType type>
void MatMulQuantised(const uint8_t* w, size_t panels, const ActivationView& x, size_t first,
                     size_t n, float* y, size_t ldy) {
  const size_t blocks = x.k / kQuantBlock, block_bytes = PanelBytes(type, kQuantBlock);
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = first; c < first + n; ++c) {
      for (size_t r = 0; r < kPanelRows; ++r) {
        float acc = 0.0f;
        for (size_t b = 0; b < blocks; ++b) {
          const uint8_t* block = w + (p * blocks + b) * block_bytes;
          int sum = 0;
          for (size_t i = 0; i < kQuantBlock; ++i) {
            sum += Code<type>(block, i, r) * x.q[c * x.k + b * kQuantBlock + i];
          }
          const float dw = HalfToFloat(reinterpret_cast<const uint16_t*>(block)[r]);
          acc = std::fma(static_cast<float>(sum), dw * x.scale[c * blocks + b], acc);
        }
        y[c * ldy + p * kPanelRows + r] = acc;
      }
    }
  }
}

void Quantize(const float* x, size_t k, int8_t* q, float* scale, int32_t* sum) {
  for (size_t b = 0; b < k / kQuantBlock; ++b) {
    float amax = 0.0f;
    for (size_t i = 0; i < kQuantBlock; ++i) {
      const float a = std::fabs(x[b * kQuantBlock + i]);
      amax = a > amax ? a : amax;
    }
    const bool zero = amax < 1e-30f;
    const float inverse = zero ? 0.0f : 127.0f / amax;
    scale[b] = zero ? 0.0f : amax / 127.0f;
    sum[b] = 0;
    for (size_t i = 0; i < kQuantBlock; ++i) {
      const float scaled = x[b * kQuantBlock + i] * inverse;
      const auto code = static_cast<int8_t>(std::isnan(scaled) ? 0.0f : std::nearbyint(scaled));
      q[b * kQuantBlock + i] = code;
      sum[b] += code;
    }
  }
}

void RmsNorm(const float* x, const float* w, size_t n, float eps, float* y) {
  float lane[kLanes] = {};
  for (size_t i = 0; i < n; ++i) lane[i % kLanes] = std::fma(x[i], x[i], lane[i % kLanes]);
  const float mean = AddLanes(lane) / static_cast<float>(n);
  const float inverse = 1.0f / std::sqrt(mean + eps);
  for (size_t i = 0; i < n; ++i) y[i] = (x[i] * inverse) * w[i];
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

void SiluMul(const float* g, const float* u, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] = (g[i] / (1.0f + Exp(-g[i]))) * u[i];
}

void Add(const float* x, size_t n, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}

void ToHalf(const float* x, size_t n, uint16_t* y) {
  for (size_t i = 0; i < n; ++i) y[i] = FloatToHalf(x[i]);
}

void AttentionHead(const AttentionJob& job, const float* q, float* out) {
  float m = -INFINITY, lane[kLanes] = {}, s[kAttentionBlock];
  for (size_t d = 0; d < job.head_dim; ++d) out[d] = 0.0f;
  for (size_t begin = 0; begin < job.length; begin += kAttentionBlock) {
    const size_t left = job.length - begin;
    float block_max = m;
    for (size_t j = 0; j < kAttentionBlock; ++j) {
      if (j >= left) {
        s[j] = -INFINITY;
        continue;
      }
      const size_t position = begin + j;
      const uint16_t* group = job.keys + position / kKeyGroup * kKeyGroup * job.head_dim;
      float dot = 0.0f;
      for (size_t d = 0; d < job.head_dim; ++d) {
        dot = std::fma(q[d], HalfToFloat(group[d * kKeyGroup + position % kKeyGroup]), dot);
      }
      s[j] = dot * job.scale;
      block_max = s[j] > block_max ? s[j] : block_max;
    }
    const float c = Exp(m - block_max);
    m = block_max;
    for (float& l : lane) l *= c;
    for (size_t d = 0; d < job.head_dim; ++d) out[d] *= c;
    for (size_t j = 0; j < kAttentionBlock; ++j) {
      const float p = Exp(s[j] - m);
      lane[j % kLanes] += p;
      if (j >= left) continue;
      for (size_t d = 0; d < job.head_dim; ++d) {
        out[d] = std::fma(p, HalfToFloat(job.values[(begin + j) * job.head_dim + d]), out[d]);
      }
    }
  }
  const float total = AddLanes(lane);
  for (size_t d = 0; d < job.head_dim; ++d) out[d] /= total;
}

void Attention(const AttentionJob& job) {
  for (size_t h = 0; h < job.heads; ++h) {
    AttentionHead(job, job.q + h * job.head_dim, job.out + h * job.head_dim);
  }
}

}  // namespace

const KernelTable& ScalarKernels() {
  static constexpr KernelTable kTable = {
      .isa = "scalar",
      .matmul = {MatMulFloat<WeightType::kF32>, MatMulFloat<WeightType::kF16>,
                 MatMulFloat<WeightType::kBF16>, MatMulQuantised<WeightType::kQ8_0>,
                 MatMulQuantised<WeightType::kQ4_0>},
      .quantize = Quantize,
      .rms_norm = RmsNorm,
      .rope = Rope,
      .silu_mul = SiluMul,
      .add = Add,
      .to_half = ToHalf,
      .attention = Attention,
  };
  return kTable;
}

}  // namespace lockstep
