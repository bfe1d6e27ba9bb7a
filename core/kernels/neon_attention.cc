// Attention for NEON: a block of the cache is turned to floats once, for up to 64 queries.
#if defined(__aarch64__)

#include "core/kernels/attention_walk.h"
#include "core/kernels/neon.h"

namespace lockstep::neon {
namespace {

// `n` halves or bytes, a multiple of 4 or the last of a row, to floats.
void ExpandHalves(const uint16_t* from, size_t n, float* to) {
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) vst1q_f32(to + i, LoadHalf(from + i));
  if (i == n) return;
  uint16_t four[kWidth] = {};
  for (size_t j = 0; i + j < n; ++j) four[j] = from[i + j];
  vst1q_f32(to + i, LoadHalf(four));
}

// 16 bytes times 16 scales.
void ExpandBytes(const int8_t* from, const float32x4_t (&scale)[kRegisters], float* to) {
  float32x4_t v[kRegisters];
  ToFloats(vld1q_s8(from), v);
  for (size_t r = 0; r < kRegisters; ++r) vst1q_f32(to + r * kWidth, vmulq_f32(v[r], scale[r]));
}

void ExpandBlock(const AttentionJob& job, const KvBlock& kv, size_t n, const AttentionScratch& s) {
  const size_t dim = job.head_dim, blocks = dim / kQuantBlock;
  float32x4_t scale[kRegisters];
  for (size_t g = 0; g * kKeyGroup < n; ++g) {
    const size_t first = g * dim * kKeyGroup;
    float* to = s.keys + g * dim * kKeyGroup;
    if (job.kv.type == KvType::kF16) {
      ExpandHalves(static_cast<const uint16_t*>(kv.keys) + first, dim * kKeyGroup, to);
      continue;
    }
    const int8_t* from = static_cast<const int8_t*>(kv.keys) + first;
    for (size_t d = 0; d < dim; ++d) {
      const size_t block = g * blocks + d / kQuantBlock;
      for (size_t r = 0; r < kRegisters; ++r) {
        scale[r] = LoadHalf(kv.key_scales + block * kKeyGroup + r * kWidth);
      }
      ExpandBytes(from + d * kKeyGroup, scale, to + d * kKeyGroup);
    }
  }
  for (size_t j = 0; j < n; ++j) {
    const size_t first = j * dim;
    float* to = s.values + j * s.width;
    if (job.kv.type == KvType::kF16) {
      ExpandHalves(static_cast<const uint16_t*>(kv.values) + first, dim, to);
      continue;
    }
    const int8_t* from = static_cast<const int8_t*>(kv.values) + first;
    for (size_t d = 0; d < dim; d += kLanes) {
      const uint16_t half = kv.value_scales[(first + d) / kQuantBlock];
      const float32x4_t one = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
      for (float32x4_t& v : scale) v = one;
      ExpandBytes(from + d, scale, to + d);
    }
  }
}

// Scores of H queries for a key group.
template <size_t H>
void Scores(const float* keys, const float* const (&q)[H], size_t head_dim, float scale, float* p) {
  float32x4_t acc[H][kRegisters] = {};
  for (size_t d = 0; d < head_dim; ++d, keys += kKeyGroup) {
    for (size_t r = 0; r < kRegisters; ++r) {
      const float32x4_t key = vld1q_f32(keys + r * kWidth);
      for (size_t h = 0; h < H; ++h) acc[h][r] = vfmaq_n_f32(acc[h][r], key, q[h][d]);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t r = 0; r < kRegisters; ++r) {
      vst1q_f32(p + h * kAttentionBlock + r * kWidth, vmulq_n_f32(acc[h][r], scale));
    }
  }
}

// o[h][d] = fma(p[h][j], value[j][d], o[h][d]) for begin <= j < end, where the registers of `out`
// from d are V whole ones, or one of which only `n` lanes are head_dim's.
template <size_t H, size_t V>
void AddValues(const AttentionScratch& s, const float* p, size_t begin, size_t end, size_t d,
               size_t n, const float (&c)[H], float* const (&out)[H]) {
  float32x4_t o[H][V];
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) {
      o[h][v] = vmulq_n_f32(LoadFirst(out[h] + d + v * kWidth, n), c[h]);
    }
  }
  for (size_t j = begin; j < end; ++j) {
    for (size_t v = 0; v < V; ++v) {
      const float32x4_t value = vld1q_f32(s.values + j * s.width + d + v * kWidth);
      for (size_t h = 0; h < H; ++h) {
        o[h][v] = vfmaq_n_f32(o[h][v], value, p[h * kAttentionBlock + j]);
      }
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) StoreFirst(out[h] + d + v * kWidth, o[h][v], n);
  }
}

template <size_t H>
void AddAllValues(const AttentionScratch& s, const float* p, size_t begin, size_t end,
                  size_t head_dim, const float (&c)[H], float* const (&out)[H]) {
  size_t d = 0;
  for (; d + 4 * kWidth <= head_dim; d += 4 * kWidth) {
    AddValues<H, 4>(s, p, begin, end, d, kWidth, c, out);
  }
  for (; d < head_dim; d += kWidth) {
    AddValues<H, 1>(s, p, begin, end, d, Least(kWidth, head_dim - d), c, out);
  }
}

// Turns the scores p[64] of a query to weights, brings its m and lanes up to date, and returns c.
float Softmax(const AttentionJob& job, float* p, AttendedSpan span, float* m, float* lanes) {
  if (job.soft_cap != 0) {
    for (size_t j = 0; j < kAttentionBlock; j += kWidth) {
      vst1q_f32(p + j, SoftCap(vld1q_f32(p + j), job.soft_cap));
    }
  }
  for (size_t j = 0; j < span.begin; ++j) p[j] = -__builtin_inff();
  for (size_t j = span.end; j < kAttentionBlock; ++j) p[j] = -__builtin_inff();
  float32x4_t max = vdupq_n_f32(*m), l[kRegisters];
  for (size_t j = 0; j < kAttentionBlock; j += kWidth) {
    max = Greater(vld1q_f32(p + j), max);
  }
  const float32x4_t block_max = vdupq_n_f32(vmaxvq_f32(max));
  const float32x4_t c = Exp(vsubq_f32(vdupq_n_f32(*m), block_max));
  *m = vgetq_lane_f32(block_max, 0);
  for (size_t r = 0; r < kRegisters; ++r) l[r] = vmulq_f32(vld1q_f32(lanes + r * kWidth), c);
  for (size_t j = 0; j < kAttentionBlock; j += kLanes) {
    for (size_t r = 0; r < kRegisters; ++r) {
      const float32x4_t e = Exp(vsubq_f32(vld1q_f32(p + j + r * kWidth), block_max));
      l[r] = vaddq_f32(l[r], e);
      vst1q_f32(p + j + r * kWidth, e);
    }
  }
  for (size_t r = 0; r < kRegisters; ++r) vst1q_f32(lanes + r * kWidth, l[r]);
  return vgetq_lane_f32(c, 0);
}

// What AttentionWalk asks for.
struct Isa {
  static void ExpandBlock(const AttentionJob& job, const KvBlock& kv, size_t n,
                          const AttentionScratch& s) {
    neon::ExpandBlock(job, kv, n, s);
  }

  template <size_t H>
  static void Weigh(const AttentionJob& job, const AttentionScratch& s, const float* const (&q)[H],
                    const AttendedSpan (&span)[H], size_t n, size_t slot, float (&c)[H]) {
    for (size_t g = 0; g * kKeyGroup < n; ++g) {
      Scores<H>(s.keys + g * job.head_dim * kKeyGroup, q, job.head_dim, job.scale,
                s.p + g * kKeyGroup);
    }
    for (size_t h = 0; h < H; ++h) {
      c[h] = Softmax(job, s.p + h * kAttentionBlock, span[h], s.m + slot + h,
                     s.lanes + (slot + h) * kLanes);
    }
  }

  template <size_t H>
  static void AddValues(const AttentionScratch& s, const float* p, size_t begin, size_t end,
                        size_t head_dim, const float (&c)[H], float* const (&out)[H]) {
    AddAllValues<H>(s, p, begin, end, head_dim, c, out);
  }

  static float SumLanes(const float* lanes) {
    float32x4_t l[kRegisters];
    for (size_t r = 0; r < kRegisters; ++r) l[r] = vld1q_f32(lanes + r * kWidth);
    return AddLanes(l);
  }
};

}  // namespace

void Attention(const AttentionJob& job) { AttentionWalk<Isa>::Attend(job); }

}  // namespace lockstep::neon

#endif  // __aarch64__
