// Attention for NEON.
#if defined(__aarch64__)

#include "core/kernels/arm/neon.h"
#include "core/kernels/attention_walk.h"

namespace lockstep::neon {
namespace {

// The registers of attention_rows.h.
struct Registers {
  using Type = float32x4_t;
  static constexpr size_t kWidth = neon::kWidth;

  static float32x4_t Halves(const uint16_t* p, size_t in) {
    if (in == kWidth) return LoadHalf(p);
    uint16_t some[kWidth] = {};
    for (size_t i = 0; i < in; ++i) some[i] = p[i];
    return LoadHalf(some);
  }
  static float32x4_t Bytes(const int8_t* p, float32x4_t scale) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof(four));
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vmulq_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), scale);
  }
  static float32x4_t Everywhere(uint16_t half) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
  }
  static float32x4_t Load(const float* p) { return vld1q_f32(p); }
  static void Store(float* p, float32x4_t v) { vst1q_f32(p, v); }
};

// Scores of H queries for a key group.
template <size_t H, class Rows>
void Scores(const Rows& rows, const float* const (&q)[H], size_t head_dim, float scale,
            size_t group, float* p) {
  float32x4_t acc[H][kRegisters] = {};
  for (size_t d = 0; d < head_dim; ++d) {
    for (size_t r = 0; r < kRegisters; ++r) {
      const float32x4_t key = rows.Key(group * kRegisters + r, d);
      for (size_t h = 0; h < H; ++h) acc[h][r] = vfmaq_n_f32(acc[h][r], key, q[h][d]);
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t r = 0; r < kRegisters; ++r) {
      vst1q_f32(p + h * kAttentionBlock + group * kKeyGroup + r * kWidth,
                vmulq_n_f32(acc[h][r], scale));
    }
  }
}

// o[h][d] = fma(p[h][j], value[j][d], o[h][d]) for begin <= j < end, where the registers of `out`
// from d are V whole ones, or one of which only `in` lanes are head_dim's.
template <size_t H, size_t V, class Rows>
void AddValues(const Rows& rows, const float* p, size_t begin, size_t end, size_t d, size_t in,
               const float (&c)[H], float* const (&out)[H]) {
  float32x4_t o[H][V];
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) {
      o[h][v] = vmulq_n_f32(LoadFirst(out[h] + d + v * kWidth, in), c[h]);
    }
  }
  for (size_t j = begin; j < end; ++j) {
    for (size_t v = 0; v < V; ++v) {
      const float32x4_t value = rows.Value(j, d + v * kWidth, in);
      for (size_t h = 0; h < H; ++h) {
        o[h][v] = vfmaq_n_f32(o[h][v], value, p[h * kAttentionBlock + j]);
      }
    }
  }
  for (size_t h = 0; h < H; ++h) {
    for (size_t v = 0; v < V; ++v) StoreFirst(out[h] + d + v * kWidth, o[h][v], in);
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
  using Registers = neon::Registers;

  template <size_t H, class Rows>
  static void Weigh(const AttentionJob& job, const Rows& rows, const AttentionScratch& s,
                    const float* const (&q)[H], const AttendedSpan (&span)[H], size_t n,
                    size_t slot, float (&c)[H]) {
    for (size_t g = 0; g * kKeyGroup < n; ++g) {
      Scores<H>(rows, q, job.head_dim, job.scale, g, s.p);
    }
    for (size_t h = 0; h < H; ++h) {
      c[h] = Softmax(job, s.p + h * kAttentionBlock, span[h], s.m + slot + h,
                     s.lanes + (slot + h) * kLanes);
    }
  }

  template <size_t H, class Rows>
  static void AddValues(const Rows& rows, const float* p, size_t begin, size_t end, size_t head_dim,
                        const float (&c)[H], float* const (&out)[H]) {
    size_t d = 0;
    for (; d + 4 * kWidth <= head_dim; d += 4 * kWidth) {
      neon::AddValues<H, 4>(rows, p, begin, end, d, kWidth, c, out);
    }
    for (; d < head_dim; d += kWidth) {
      neon::AddValues<H, 1>(rows, p, begin, end, d, Least(kWidth, head_dim - d), c, out);
    }
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
