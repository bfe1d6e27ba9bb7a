// Matrix products for AVX-512. A few columns are multiplied straight from the packed weights; for
// many, two panels at a time are first expanded to one byte a code and one float a scale, so that
// one inner loop serves all types.
#if defined(__x86_64__)

#include "core/kernels/x86/avx512_unpack.h"

namespace lockstep::avx512 {
namespace {

// Columns up to which expanding does not pay.
constexpr size_t kDirectColumns = 4;

// ---- float types

template <WeightType type>
__m512 LoadWeights(const uint8_t* panel, size_t k) {
  if constexpr (type == WeightType::kF32) {
    return _mm512_loadu_ps(reinterpret_cast<const float*>(panel) + k * kPanelRows);
  } else {
    return LoadHalf(reinterpret_cast<const uint16_t*>(panel) + k * kPanelRows);
  }
}

// P panels times C columns.
template <WeightType type, size_t P, size_t C>
struct FloatTile {
  static void Run(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first,
                  float* y, size_t ldy) {
    __m512 acc[P][C] = {};
    const float* column = x.f32 + first * x.stride;
    for (size_t k = 0; k < x.k; ++k) {
      __m512 v[P];
      for (size_t p = 0; p < P; ++p) v[p] = LoadWeights<type>(w + p * panel_bytes, k);
      for (size_t c = 0; c < C; ++c) {
        const __m512 xc = _mm512_set1_ps(column[c * x.stride + k]);
        for (size_t p = 0; p < P; ++p) acc[p][c] = _mm512_fmadd_ps(v[p], xc, acc[p][c]);
      }
    }
    for (size_t p = 0; p < P; ++p) {
      for (size_t c = 0; c < C; ++c) {
        _mm512_storeu_ps(y + (first + c) * ldy + p * kPanelRows, acc[p][c]);
      }
    }
  }
};

template <size_t P, size_t C>
struct FloatTile<WeightType::kBF16, P, C> {
  // Pair i of the columns: the even and the odd one's chain.
  static void Pair(const uint8_t* w, size_t panel_bytes, const float* column, size_t stride,
                   size_t i, bool odd_too, __m512 (&e)[P][C], __m512 (&o)[P][C]) {
    __m512 even[P], odd[P];
    for (size_t p = 0; p < P; ++p) {
      const __m512i pair = _mm512_loadu_si512(w + p * panel_bytes + i * 64);
      even[p] = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
      odd[p] = _mm512_castsi512_ps(
          _mm512_and_si512(pair, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
    }
    for (size_t c = 0; c < C; ++c) {
      const float* x = column + c * stride + 2 * i;
      for (size_t p = 0; p < P; ++p) {
        e[p][c] = _mm512_fmadd_ps(even[p], _mm512_set1_ps(x[0]), e[p][c]);
        if (odd_too) o[p][c] = _mm512_fmadd_ps(odd[p], _mm512_set1_ps(x[1]), o[p][c]);
      }
    }
  }

  static void Run(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first,
                  float* y, size_t ldy) {
    __m512 acc[P][C] = {};
    const float* column = x.f32 + first * x.stride;
    for (size_t begin = 0; begin < x.k; begin += kQuantBlock) {
      __m512 e[P][C] = {}, o[P][C] = {};
      const size_t left = x.k - begin;
      if (left >= kQuantBlock) {
        for (size_t i = 0; i < kQuantBlock / 2; ++i) {
          Pair(w, panel_bytes, column, x.stride, begin / 2 + i, true, e, o);
        }
      } else {
        for (size_t i = 0; i < (left + 1) / 2; ++i) {
          Pair(w, panel_bytes, column, x.stride, begin / 2 + i, 2 * i + 1 < left, e, o);
        }
      }
      for (size_t p = 0; p < P; ++p) {
        for (size_t c = 0; c < C; ++c) {
          acc[p][c] = _mm512_add_ps(acc[p][c], _mm512_add_ps(e[p][c], o[p][c]));
        }
      }
    }
    for (size_t p = 0; p < P; ++p) {
      for (size_t c = 0; c < C; ++c) {
        _mm512_storeu_ps(y + (first + c) * ldy + p * kPanelRows, acc[p][c]);
      }
    }
  }
};

// Eight columns at a time for two panels, and the rest for four: 16 chains hide the latency.
template <WeightType type>
void MatMulFloat(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
                 size_t ldy, void*) {
  constexpr size_t kColumns = type == WeightType::kBF16 ? 4 : 8;
  const size_t bytes = PanelBytes(type, x.k);
  size_t p = 0;
  for (; p + 4 <= panels; p += 4, w += 4 * bytes, y += 4 * kPanelRows) {
    size_t c = 0;
    for (; c + kColumns <= n; c += kColumns) {
      FloatTile<type, 2, kColumns>::Run(w, bytes, x, c, y, ldy);
      FloatTile<type, 2, kColumns>::Run(w + 2 * bytes, bytes, x, c, y + 2 * kPanelRows, ldy);
    }
    for (; c + 2 <= n; c += 2) FloatTile<type, 4, 2>::Run(w, bytes, x, c, y, ldy);
    if (c < n) FloatTile<type, 4, 1>::Run(w, bytes, x, c, y, ldy);
  }
  for (; p < panels; ++p, w += bytes, y += kPanelRows) {
    size_t c = 0;
    for (; c + 4 <= n; c += 4) FloatTile<type, 1, 4>::Run(w, bytes, x, c, y, ldy);
    for (; c < n; ++c) FloatTile<type, 1, 1>::Run(w, bytes, x, c, y, ldy);
  }
}

// ---- quantized types

__m512i BroadcastFour(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm512_set1_epi32(four);
}

// One panel times C columns, straight from the packed weights.
template <QuantFormat f, size_t C>
void DirectTile(const uint8_t* group, const ActivationView& x, float* y, size_t ldy) {
  constexpr size_t kSubs = kQuantBlock / f.sub, kSteps = 8 / kSubs;
  const size_t subs = x.k / f.sub, blocks = x.k / kQuantBlock;
  const int32_t* offset = f.sub == kQuantBlock ? x.offset : x.sub_offset;
  const float* sum = f.sub == kQuantBlock ? x.sum : x.sub_sum;
  __m512 acc[C] = {};
  for (size_t first = 0; first < x.k; first += f.group, group += GroupBytes(f)) {
    const Scales<f> scales(group);
    for (size_t b = 0; b < f.group / kQuantBlock; ++b) {
      const size_t k = first + b * kQuantBlock;
      __m512i code[8];
      Codes<f>(group + HeaderBytes(f) + b * BlockBytes(f), code);
      for (size_t h = 0; h < kSubs; ++h) {
        const size_t sub = k / f.sub + h;
        const __m512 scale = scales.Scale(b * kSubs + h);
        for (size_t c = 0; c < C; ++c) {
          __m512i dot = _mm512_setzero_si512();
          if constexpr (Bias(f) != 0) {
            dot = _mm512_set1_epi32(offset[c * subs + sub] >> OffsetShift(f));
          }
          const int8_t* q = x.q + c * x.k + k;
          for (size_t t = h * kSteps; t < (h + 1) * kSteps; ++t) {
            dot = _mm512_dpbusd_epi32(dot, code[t], BroadcastFour(q + 4 * t));
          }
          const __m512 dx = _mm512_set1_ps(x.scale[c * blocks + k / kQuantBlock]);
          acc[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(scale, dx), acc[c]);
          if constexpr (f.minimum) {
            acc[c] = _mm512_fmadd_ps(scales.Minimum(b * kSubs + h),
                                     _mm512_set1_ps(sum[c * subs + sub]), acc[c]);
          }
        }
      }
    }
  }
  for (size_t c = 0; c < C; ++c) _mm512_storeu_ps(y + c * ldy, acc[c]);
}

// P expanded panels times C columns from `first`. Two panels share the broadcasts of x, and their
// 16 integer sums hide the latency of vpdpbusd.
template <size_t kSub, bool kMinimum, size_t P, size_t C>
void Tile(const Expanded& w, const ActivationView& x, size_t first, float* y, size_t ldy) {
  constexpr size_t kSubs = kQuantBlock / kSub, kSteps = 8 / kSubs;
  const size_t subs = x.k / kSub, blocks = x.k / kQuantBlock;
  const int32_t* offset = (kSubs == 1 ? x.offset : x.sub_offset) + first * subs;
  const float* sum = (kSubs == 1 ? x.sum : x.sub_sum) + first * subs;
  const float* scale = x.scale + first * blocks;
  const int8_t* q = x.q + first * x.k;
  __m512 acc[P][C] = {};
  for (size_t s = 0; s < subs; ++s) {
    if (first == 0) FetchNext(w, s);
    __m512i dot[P][C];
    for (size_t c = 0; c < C; ++c) {
      const __m512i start = _mm512_set1_epi32(offset[c * subs + s]);
      for (size_t p = 0; p < P; ++p) dot[p][c] = start;
    }
#pragma GCC unroll 8
    for (size_t t = 0; t < kSteps; ++t) {
      const size_t step = s * kSteps + t;
      __m512i code[P];
      for (size_t p = 0; p < P; ++p) {
        code[p] = _mm512_load_si512(w.codes + p * x.k * kPanelRows + step * 64);
      }
      for (size_t c = 0; c < C; ++c) {
        const __m512i four = BroadcastFour(q + c * x.k + 4 * step);
        for (size_t p = 0; p < P; ++p) dot[p][c] = _mm512_dpbusd_epi32(dot[p][c], code[p], four);
      }
    }
    for (size_t p = 0; p < P; ++p) {
      const __m512 sw = _mm512_load_ps(w.scales + (p * subs + s) * kWidth);
      for (size_t c = 0; c < C; ++c) {
        const __m512 both = _mm512_mul_ps(sw, _mm512_set1_ps(scale[c * blocks + s / kSubs]));
        acc[p][c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[p][c]), both, acc[p][c]);
      }
      if constexpr (kMinimum) {
        const __m512 minimum = _mm512_load_ps(w.minima + (p * subs + s) * kWidth);
        for (size_t c = 0; c < C; ++c) {
          acc[p][c] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(sum[c * subs + s]), acc[p][c]);
        }
      }
    }
  }
  for (size_t p = 0; p < P; ++p) {
    for (size_t c = 0; c < C; ++c) {
      _mm512_storeu_ps(y + (first + c) * ldy + p * kPanelRows, acc[p][c]);
    }
  }
}

template <size_t kSub, bool kMinimum, size_t P>
void ExpandedColumns(const Expanded& w, const ActivationView& x, size_t n, float* y, size_t ldy) {
  size_t c = 0;
  for (; c + 8 <= n; c += 8) Tile<kSub, kMinimum, P, 8>(w, x, c, y, ldy);
  if (c + 4 <= n) Tile<kSub, kMinimum, P, 4>(w, x, c, y, ldy), c += 4;
  if (c + 2 <= n) Tile<kSub, kMinimum, P, 2>(w, x, c, y, ldy), c += 2;
  if (c < n) Tile<kSub, kMinimum, P, 1>(w, x, c, y, ldy);
}

template <WeightType type>
void MatMulQuantized(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
                     size_t ldy, void* scratch) {
  constexpr QuantFormat f = FormatOf(type).quant;
  const size_t bytes = x.k / f.group * GroupBytes(f);
  if (n <= kDirectColumns) {
    for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
      if (n == 1) DirectTile<f, 1>(w, x, y, ldy);
      if (n == 2) DirectTile<f, 2>(w, x, y, ldy);
      if (n == 3) DirectTile<f, 3>(w, x, y, ldy);
      if (n == 4) DirectTile<f, 4>(w, x, y, ldy);
    }
    return;
  }
  const size_t codes = x.k * kPanelRows, subs = x.k / f.sub * kWidth;  // of a panel
  Expanded e = ExpandedIn<f>(scratch, x.k);
  for (size_t p = 0; p < panels; p += 2, w += 2 * bytes, y += 2 * kPanelRows) {
    const size_t both = panels - p < 2 ? 1 : 2;
    for (size_t i = 0; i < both; ++i) {
      Expand<f, 128>(w + i * bytes, x.k, e.codes + i * codes, e.scales + i * subs,
                     e.minima + i * subs);
    }
    e.next = w + 2 * bytes;
    e.next_bytes = panels - p > 2 ? 2 * bytes / (x.k / f.sub) : 0;
    if (both == 2) {
      ExpandedColumns<f.sub, f.minimum, 2>(e, x, n, y, ldy);
    } else {
      ExpandedColumns<f.sub, f.minimum, 1>(e, x, n, y, ldy);
    }
  }
}

}  // namespace

constinit const ByWeightType<KernelTable::MatMulFn> kMatMul =
    TableOf([]<WeightType type>() -> KernelTable::MatMulFn {
      if constexpr (IsQuantized(type)) {
        return MatMulQuantized<type>;
      } else {
        return MatMulFloat<type>;
      }
    });

}  // namespace lockstep::avx512

#endif  // __x86_64__
