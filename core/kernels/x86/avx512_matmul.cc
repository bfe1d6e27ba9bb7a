// Matrix products for AVX-512. A few columns are multiplied straight from the packed weights; for
// many, two panels at a time are first expanded to one byte a code and one float a scale, so that
// one inner loop serves all types.
#if defined(__x86_64__)

#include "core/kernels/float_tile.h"
#include "core/kernels/x86/avx512_unpack.h"

namespace lockstep::avx512 {
namespace {

// Columns up to which expanding does not pay.
constexpr size_t kDirectColumns = 4;

// ---- float types

// Eight columns at a time for two panels, and the rest for four: 16 chains hide the latency.
template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void*) requires(!IsQuantized(type)) {
  // BF16 has two chains for each output (kernels.h), so half the columns make as many chains.
  constexpr size_t kColumns = type == WeightType::kBF16 ? 4 : 8;
  const size_t bytes = PanelBytes(type, x.k);
  size_t p = 0;
  for (; p + 4 <= panels; p += 4, w += 4 * bytes, y += 4 * kPanelRows) {
    size_t c = 0;
    for (; c + kColumns <= n; c += kColumns) {
      FloatTile<Floats, type, 2, kColumns>::Run(w, bytes, x, c, y, ldy);
      FloatTile<Floats, type, 2, kColumns>::Run(w + 2 * bytes, bytes, x, c, y + 2 * kPanelRows,
                                                ldy);
    }
    for (; c + 2 <= n; c += 2) FloatTile<Floats, type, 4, 2>::Run(w, bytes, x, c, y, ldy);
    if (c < n) FloatTile<Floats, type, 4, 1>::Run(w, bytes, x, c, y, ldy);
  }
  for (; p < panels; ++p, w += bytes, y += kPanelRows) {
    size_t c = 0;
    for (; c + 4 <= n; c += 4) FloatTile<Floats, type, 1, 4>::Run(w, bytes, x, c, y, ldy);
    for (; c < n; ++c) FloatTile<Floats, type, 1, 1>::Run(w, bytes, x, c, y, ldy);
  }
}

// ---- quantized types

// Four activations in every lane of 32 bits, where they meet the four codes of one row.
__m512i BroadcastFour(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm512_set1_epi32(four);
}

// One panel times kColumns columns, straight from the packed weights.
template <QuantFormat format, size_t kColumns>
void DirectTile(const uint8_t* group, const ActivationView& x, float* y, size_t ldy) {
  // A step is one vpdpbusd: four columns of 16 rows. A block of 32 columns has eight of them, and
  // one scale, or two where a scale is for 16 columns.
  constexpr size_t kSubs = kQuantBlock / format.sub, kSteps = 8 / kSubs;
  const size_t subs = x.k / format.sub, blocks = x.k / kQuantBlock;
  const int32_t* offset = format.sub == kQuantBlock ? x.offset : x.sub_offset;
  const float* sum = format.sub == kQuantBlock ? x.sum : x.sub_sum;
  __m512 acc[kColumns] = {};
  for (size_t first = 0; first < x.k; first += format.group, group += GroupBytes(format)) {
    const Scales<format> scales(group);
    for (size_t b = 0; b < format.group / kQuantBlock; ++b) {
      const size_t k = first + b * kQuantBlock;
      __m512i code[8];
      Codes<format>(group + HeaderBytes(format) + b * BlockBytes(format), code);
      for (size_t h = 0; h < kSubs; ++h) {
        const size_t sub = k / format.sub + h;
        const __m512 scale = scales.Scale(b * kSubs + h);
        for (size_t c = 0; c < kColumns; ++c) {
          __m512i dot = _mm512_setzero_si512();
          // The codes are weight + bias, so the sum starts at -bias * (sum of q), exactly.
          if constexpr (UnsignedBias(format) != 0) {
            dot = _mm512_set1_epi32(offset[c * subs + sub] >> OffsetShift(format));
          }
          const int8_t* q = x.q + c * x.k + k;
          for (size_t t = h * kSteps; t < (h + 1) * kSteps; ++t) {
            dot = _mm512_dpbusd_epi32(dot, code[t], BroadcastFour(q + 4 * t));
          }
          const __m512 dx = _mm512_set1_ps(x.scale[c * blocks + k / kQuantBlock]);
          acc[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(scale, dx), acc[c]);
          if constexpr (format.minimum) {
            acc[c] = _mm512_fmadd_ps(scales.Minimum(b * kSubs + h),
                                     _mm512_set1_ps(sum[c * subs + sub]), acc[c]);
          }
        }
      }
    }
  }
  for (size_t c = 0; c < kColumns; ++c) _mm512_storeu_ps(y + c * ldy, acc[c]);
}

// kPanels expanded panels times kColumns columns from `first`. Two panels share the broadcasts of
// x, and their 16 integer sums hide the latency of vpdpbusd.
template <size_t kSub, bool kMinimum, size_t kPanels, size_t kColumns>
void Tile(const Expanded& w, const ActivationView& x, size_t first, float* y, size_t ldy) {
  constexpr size_t kSubs = kQuantBlock / kSub, kSteps = 8 / kSubs;
  const size_t subs = x.k / kSub, blocks = x.k / kQuantBlock;
  const int32_t* offset = (kSubs == 1 ? x.offset : x.sub_offset) + first * subs;
  const float* sum = (kSubs == 1 ? x.sum : x.sub_sum) + first * subs;
  const float* scale = x.scale + first * blocks;
  const int8_t* q = x.q + first * x.k;
  __m512 acc[kPanels][kColumns] = {};
  for (size_t s = 0; s < subs; ++s) {
    // Only the first tile fetches: it walks through all sub-blocks, and later tiles would ask
    // again.
    if (first == 0) FetchNext(w, s);
    __m512i dot[kPanels][kColumns];
    for (size_t c = 0; c < kColumns; ++c) {
      // Here every type's codes are weight + 128, which the offset takes away as it is.
      const __m512i start = _mm512_set1_epi32(offset[c * subs + s]);
      for (size_t p = 0; p < kPanels; ++p) dot[p][c] = start;
    }
#pragma GCC unroll 8
    for (size_t t = 0; t < kSteps; ++t) {
      const size_t step = s * kSteps + t;
      __m512i code[kPanels];
      for (size_t p = 0; p < kPanels; ++p) {
        code[p] = _mm512_load_si512(w.codes + p * x.k * kPanelRows + step * 64);
      }
      for (size_t c = 0; c < kColumns; ++c) {
        const __m512i four = BroadcastFour(q + c * x.k + 4 * step);
        for (size_t p = 0; p < kPanels; ++p)
          dot[p][c] = _mm512_dpbusd_epi32(dot[p][c], code[p], four);
      }
    }
    for (size_t p = 0; p < kPanels; ++p) {
      const __m512 sw = _mm512_load_ps(w.scales + (p * subs + s) * kWidth);
      for (size_t c = 0; c < kColumns; ++c) {
        const __m512 both = _mm512_mul_ps(sw, _mm512_set1_ps(scale[c * blocks + s / kSubs]));
        acc[p][c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[p][c]), both, acc[p][c]);
      }
      if constexpr (kMinimum) {
        const __m512 minimum = _mm512_load_ps(w.minima + (p * subs + s) * kWidth);
        for (size_t c = 0; c < kColumns; ++c) {
          acc[p][c] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(sum[c * subs + s]), acc[p][c]);
        }
      }
    }
  }
  for (size_t p = 0; p < kPanels; ++p) {
    for (size_t c = 0; c < kColumns; ++c) {
      _mm512_storeu_ps(y + (first + c) * ldy + p * kPanelRows, acc[p][c]);
    }
  }
}

template <size_t kSub, bool kMinimum, size_t kPanels>
void ExpandedColumns(const Expanded& w, const ActivationView& x, size_t n, float* y, size_t ldy) {
  size_t c = 0;
  for (; c + 8 <= n; c += 8) Tile<kSub, kMinimum, kPanels, 8>(w, x, c, y, ldy);
  if (c + 4 <= n) {
    Tile<kSub, kMinimum, kPanels, 4>(w, x, c, y, ldy);
    c += 4;
  }
  if (c + 2 <= n) {
    Tile<kSub, kMinimum, kPanels, 2>(w, x, c, y, ldy);
    c += 2;
  }
  if (c < n) Tile<kSub, kMinimum, kPanels, 1>(w, x, c, y, ldy);
}

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void* scratch) requires(IsQuantized(type)) {
  constexpr QuantFormat kFormat = FormatOf(type).quant;
  const size_t bytes = x.k / kFormat.group * GroupBytes(kFormat);
  if (n <= kDirectColumns) {
    for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
      if (n == 1) DirectTile<kFormat, 1>(w, x, y, ldy);
      if (n == 2) DirectTile<kFormat, 2>(w, x, y, ldy);
      if (n == 3) DirectTile<kFormat, 3>(w, x, y, ldy);
      if (n == 4) DirectTile<kFormat, 4>(w, x, y, ldy);
    }
    return;
  }
  const size_t codes = x.k * kPanelRows, subs = x.k / kFormat.sub * kWidth;  // of a panel
  Expanded e = ExpandedIn<kFormat>(scratch, x.k);
  for (size_t p = 0; p < panels; p += 2, w += 2 * bytes, y += 2 * kPanelRows) {
    const size_t both = panels - p < 2 ? 1 : 2;
    for (size_t i = 0; i < both; ++i) {
      Expand<kFormat, 128>(w + i * bytes, x.k, e.codes + i * codes, e.scales + i * subs,
                           e.minima + i * subs);
    }
    e.next = w + 2 * bytes;
    e.next_bytes = panels - p > 2 ? 2 * bytes / (x.k / kFormat.sub) : 0;
    if (both == 2) {
      ExpandedColumns<kFormat.sub, kFormat.minimum, 2>(e, x, n, y, ldy);
    } else {
      ExpandedColumns<kFormat.sub, kFormat.minimum, 1>(e, x, n, y, ldy);
    }
  }
}

}  // namespace

constinit const ByWeightType<KernelTable::MatMulFn> kMatMul =
    TableOf([]<WeightType type>() -> KernelTable::MatMulFn { return MatMul<type>; });

}  // namespace lockstep::avx512

#endif  // __x86_64__
