// Matrix products for AVX2. A few columns are multiplied straight from the packed weights, which
// are asked for ahead, so that memory answers while products run; for many, a panel at a time is
// first expanded to codes in whole bytes and scales in floats, so that one inner loop serves all
// types.
//
// vpmaddubsw multiplies unsigned codes by signed activations and adds pairs into 16 bits, as does
// vpaddw at twice its rate; vpmaddwd by ones then widens. The codes' width decides how long a sum
// of 16 bits can be, since |q| <= 127; codes of 8 bits are taken as two nibbles.
#if defined(__x86_64__)

#include "core/kernels/float_tile.h"
#include "core/kernels/unpack.h"
#include "core/kernels/x86/avx2.h"

namespace lockstep::avx2 {
namespace {

// ---- float types

// Twelve chains of fma for many columns, eight for the rest: that hides its latency.
template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void*) requires(!IsQuantized(type)) {
  // BF16 has an even and an odd chain for each output (kernels.h), so its tile is half as large. A
  // panel takes two registers: 6 columns by 1 panel, or 1 column by 4 panels, are 12 and 8 of the
  // 16.
  constexpr bool kTwoChains = type == WeightType::kBF16;
  constexpr size_t kColumns = kTwoChains ? 3 : 6, kPanels = kTwoChains ? 2 : 4;
  const size_t bytes = PanelBytes(type, x.k);
  const size_t whole = n / kColumns * kColumns;
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = 0; c < whole; c += kColumns) {
      FloatTile<Floats, type, 1, kColumns>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows,
                                                ldy);
    }
  }
  for (size_t c = whole; c < n; ++c) {
    size_t p = 0;
    for (; p + kPanels <= panels; p += kPanels) {
      FloatTile<Floats, type, kPanels, 1>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows, ldy);
    }
    for (; p < panels; ++p) {
      FloatTile<Floats, type, 1, 1>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
}

// ---- quantized types

// Registers r = 0 and 1 are rows 0 to 7 and 8 to 15 of the panel.
template <size_t kColumns>
void StoreTile(const __m256 (&sum)[kColumns][2], float* y, size_t ldy) {
  for (size_t c = 0; c < kColumns; ++c) {
    for (size_t r = 0; r < 2; ++r) Floats::Store(y + c * ldy + r * kWidth, sum[c][r]);
  }
}

// Bytes that the inner loops see of a weight: its code or that one's nibbles, the low one first.
constexpr size_t Planes(QuantFormat format) {
  return HasTable(format) || format.low_bits == 8 ? 2 : 1;
}

// SubSteps: the steps of four columns that share a scale. RunSteps: those of them that a sum of 16
// bits can span. A step adds two products to each such sum, at most 2 * (2^bits - 1) * 127, and
// |sum| must stay at or below 32767. 4 bits: 3810 a step, 8 steps. 5 bits: 7874, 4 steps. 6 bits:
// 16002, 2 steps. 8 bits would overflow in one (64770), hence the two planes of nibbles.
constexpr size_t SubSteps(QuantFormat format) { return format.sub / 4; }
constexpr size_t RunSteps(QuantFormat format) {
  const size_t bits = Planes(format) == 2 ? 4 : format.low_bits + format.high_bits;
  size_t steps = SubSteps(format);
  while (steps * 2 * ((1u << bits) - 1) * 127 > 32767) steps /= 2;
  return steps;
}

__m256i LoadInts(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Four activations in every lane of 32 bits, where they meet the four codes of one row.
__m256i BroadcastFour(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

struct alignas(16) Nibbles {
  uint8_t of[16];
};

// vpshufb looks up within each half of 128 bits, so that the table of 16 bytes stands in both.
__m256i LookUp(const Nibbles& table, __m256i index) {
  const __m128i t = _mm_load_si128(reinterpret_cast<const __m128i*>(table.of));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}

// A table's weights plus 128, the nibble from bit `shift`. The whole sums go up to 241, and two
// products of that with 127 do not fit in 16 bits, so that each plane of nibbles has a table of its
// own.
template <QuantFormat format, int shift>
constexpr Nibbles kNibblesOf = [] {
  Nibbles nibbles{};
  for (size_t i = 0; i < 16; ++i) {
    nibbles.of[i] = static_cast<uint8_t>(((CodeWeights(format)[i] + 128) >> shift) & 15);
  }
  return nibbles;
}();

// What the inner loops see of columns 4 * step .. + 3 of the block, of eight rows.
template <QuantFormat format, size_t step>
[[gnu::always_inline]] inline void CodesOf(const uint8_t* block, size_t half,
                                           __m256i (&code)[Planes(format)]) {
  const __m256i whole = CodesAt<LoadInts, format, step>(block + half * 32);
  if constexpr (HasTable(format)) {
    code[0] = LookUp(kNibblesOf<format, 0>, whole);
    code[1] = LookUp(kNibblesOf<format, 4>, whole);
  } else if constexpr (Planes(format) == 2) {
    code[0] = MoveBits<0, 0, 4>(whole);
    code[1] = MoveBits<4, 0, 4>(whole);
  } else {
    code[0] = whole;
  }
}

// The scales and minima of the sub-blocks of a group, for the rows from 8 * half.
template <QuantFormat format>
class Scales {
 public:
  Scales(const uint8_t* group, size_t half)
      : halves_(reinterpret_cast<const uint16_t*>(group) + half * kWidth),
        subs_(group + HalfScaleBytes(format) + half * kWidth) {
    if constexpr (format.scale == ScaleForm::kPower) {
      const __m128i powers = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves_));
      scale_ = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(powers), 16));
    } else if constexpr (format.scale != ScaleForm::kHalves) {
      scale_ = Half(0);
    }
    if constexpr (format.minimum) minimum_ = LoadHalf(halves_ + kPanelRows);
  }
  __m256 Scale(size_t sub) const {
    if constexpr (format.scale == ScaleForm::kHalves) return Half(sub);
    if constexpr (!HasSubScales(format)) return scale_;
    __m256i whole;
    if constexpr (kNibbles) {
      whole = _mm256_and_si256(Load(sub), _mm256_set1_epi32(15));
    } else {
      whole = _mm256_cvtepi8_epi32(Bytes(sub));
    }
    return _mm256_mul_ps(scale_, _mm256_cvtepi32_ps(whole));
  }
  // Q4_1 and Q5_1 store what is added. The K types store a magnitude that is subtracted, and its
  // sign is turned here, so that both kinds are added by the same fma.
  __m256 Minimum(size_t sub) const {
    if constexpr (!HasSubScales(format)) return minimum_;
    __m256i whole;
    if constexpr (kNibbles) {
      whole = _mm256_srli_epi32(Load(sub), 4);
    } else {
      whole = Load(format.group / format.sub + sub);
    }
    const __m256 magnitude = _mm256_cvtepi32_ps(whole);
    return _mm256_mul_ps(minimum_, _mm256_xor_ps(magnitude, _mm256_set1_ps(-0.0f)));
  }

 private:
  static constexpr bool kNibbles = format.scale == ScaleForm::kNibbles;
  __m256 Half(size_t i) const {
    const __m256 scale = LoadHalf(halves_ + i * kPanelRows);
    if constexpr (format.scale_shift == 0) return scale;
    return _mm256_mul_ps(scale, _mm256_set1_ps(ScaleFactor(format)));
  }
  __m128i Bytes(size_t row) const {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(subs_ + row * kPanelRows));
  }
  __m256i Load(size_t row) const { return _mm256_cvtepu8_epi32(Bytes(row)); }
  const uint16_t* halves_;
  const uint8_t* subs_;
  __m256 scale_, minimum_;
};

// Keeps v in its register: gcc 12 would reorder the sums of integers, products first, and spill.
[[gnu::always_inline]] inline void Pin(__m256i& v) { asm("" : "+x"(v)); }

// Adds the products of kVectors vectors of codes with four values of each of kColumns columns.
template <size_t kVectors, size_t kColumns, bool start>
[[gnu::always_inline]] inline void AddProducts(const __m256i (&code)[kVectors], const int8_t* q,
                                               size_t stride, __m256i (&sum)[kColumns][kVectors]) {
  for (size_t c = 0; c < kColumns; ++c) {
    const __m256i four = BroadcastFour(q + c * stride);
    for (size_t v = 0; v < kVectors; ++v) {
      const __m256i product = _mm256_maddubs_epi16(code[v], four);
      sum[c][v] = start ? product : _mm256_add_epi16(sum[c][v], product);
      Pin(sum[c][v]);
    }
  }
}

// Widens sums of 16 bits, kVectors / 2 planes for each register of rows.
template <size_t kVectors, size_t kColumns, bool start>
[[gnu::always_inline]] inline void Widen(const __m256i (&sum)[kColumns][kVectors],
                                         __m256i (&dot)[kColumns][2]) {
  const __m256i ones = _mm256_set1_epi16(1), sixteens = _mm256_set1_epi16(16);
  for (size_t c = 0; c < kColumns; ++c) {
    for (size_t r = 0; r < 2; ++r) {
      __m256i wide = _mm256_madd_epi16(sum[c][r * kVectors / 2], ones);
      if constexpr (kVectors == 4) {
        wide = _mm256_add_epi32(wide, _mm256_madd_epi16(sum[c][2 * r + 1], sixteens));
      }
      dot[c][r] = start ? wide : _mm256_add_epi32(dot[c][r], wide);
    }
  }
}

// Steps `step` to `end` of a block of packed weights, of which the first for this scale is `begin`;
// q: the block's values of the first column. A loop whose index is a constant, as shifts want, is
// a recursion.
template <QuantFormat format, size_t kColumns, size_t begin, size_t step, size_t end>
[[gnu::always_inline]] inline void DirectSteps(const uint8_t* block, const int8_t* q, size_t stride,
                                               __m256i (&sum)[kColumns][2 * Planes(format)],
                                               __m256i (&dot)[kColumns][2]) {
  constexpr size_t kPlanes = Planes(format), kVectors = 2 * kPlanes, kRun = RunSteps(format);
  __m256i half[2][kPlanes], code[kVectors];
  CodesOf<format, step>(block, 0, half[0]);
  CodesOf<format, step>(block, 1, half[1]);
  for (size_t v = 0; v < kVectors; ++v) code[v] = half[v / kPlanes][v % kPlanes];
  constexpr bool kRunBegins = step % kRun == 0, kRunEnds = step % kRun == kRun - 1;
  AddProducts<kVectors, kColumns, kRunBegins>(code, q + 4 * step, stride, sum);
  if constexpr (kRunEnds) {
    constexpr bool kFirstRun = step - begin < kRun;
    Widen<kVectors, kColumns, kFirstRun>(sum, dot);
  }
  if constexpr (step + 1 < end) {
    DirectSteps<format, kColumns, begin, step + 1, end>(block, q, stride, sum, dot);
  }
}

// Columns up to which expanding does not pay: unpacking plain nibbles anew for every four columns
// is the cheapest, codes of two bits, with the most shifts and scales, the dearest.
constexpr size_t DirectColumns(QuantFormat format) {
  if (format.low_bits == 2) return 8;
  return format.low_bits == 4 && format.high_bits == 0 && !HasTable(format) ? 32 : 16;
}

// How many bytes ahead of its use a panel is asked for: what memory sends while one waits for it.
constexpr size_t kAhead = 8192;

// Asks for what is kAhead bytes behind `from`, into the second-level cache, as the first level has
// too few requests in flight for the speed of memory.
template <size_t bytes>
[[gnu::always_inline]] inline void FetchAhead(const uint8_t* from) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + kAhead + i), _MM_HINT_T1);
  }
}

// One panel times kColumns columns from `column`, straight from the packed weights.
template <QuantFormat format, size_t kColumns>
void DirectTile(const uint8_t* group, const ActivationView& x, size_t column, float* y,
                size_t ldy) {
  constexpr size_t kSubs = kQuantBlock / format.sub;
  const size_t subs = x.k / format.sub, blocks = x.k / kQuantBlock;
  // The codes are weight + bias, so a sum of code * q is too large by bias * (sum of q). The
  // offset, -128 * (sum of q), shifted right to -bias * (sum of q), takes that away exactly.
  const int32_t* offset = (format.sub == kQuantBlock ? x.offset : x.sub_offset) + column * subs;
  const float* sums = (format.sub == kQuantBlock ? x.sum : x.sub_sum) + column * subs;
  const float* x_scale = x.scale + column * blocks;
  const int8_t* q = x.q + column * x.k;
  // A single column needs no help to keep memory busy, and later tiles find the panel in a cache.
  const bool fetch = kColumns > 1 && column == 0;
  __m256 acc[kColumns][2] = {};
  for (size_t first = 0; first < x.k; first += format.group, group += GroupBytes(format)) {
    if (fetch) FetchAhead<HeaderBytes(format)>(group);
    const Scales<format> scales[2] = {{group, 0}, {group, 1}};
    for (size_t b = 0; b < format.group / kQuantBlock; ++b) {
      const size_t k = first + b * kQuantBlock;
      const uint8_t* block = group + HeaderBytes(format) + b * BlockBytes(format);
      if (fetch) FetchAhead<BlockBytes(format)>(block);
      __m256i sum[kColumns][2 * Planes(format)], dot[kSubs][kColumns][2];
      if constexpr (kSubs == 1) {
        DirectSteps<format, kColumns, 0, 0, 8>(block, q + k, x.k, sum, dot[0]);
      } else {
        DirectSteps<format, kColumns, 0, 0, 4>(block, q + k, x.k, sum, dot[0]);
        DirectSteps<format, kColumns, 4, 4, 8>(block, q + k, x.k, sum, dot[1]);
      }
      for (size_t h = 0; h < kSubs; ++h) {
        const size_t sub = k / format.sub + h;
        for (size_t r = 0; r < 2; ++r) {
          const __m256 scale = scales[r].Scale(b * kSubs + h);
          for (size_t c = 0; c < kColumns; ++c) {
            __m256i d = dot[h][c][r];
            if constexpr (UnsignedBias(format) != 0) {
              const int32_t by = offset[c * subs + sub] >> OffsetShift(format);
              d = _mm256_add_epi32(d, _mm256_set1_epi32(by));
            }
            const __m256 dx = _mm256_set1_ps(x_scale[c * blocks + k / kQuantBlock]);
            acc[c][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(d), _mm256_mul_ps(scale, dx), acc[c][r]);
          }
          if constexpr (format.minimum) {
            const __m256 minimum = scales[r].Minimum(b * kSubs + h);
            for (size_t c = 0; c < kColumns; ++c) {
              acc[c][r] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(sums[c * subs + sub]), acc[c][r]);
            }
          }
        }
      }
    }
  }
  StoreTile(acc, y + column * ldy, ldy);
}

// A panel unpacked once for all columns. Its codes stand in the order in which the inner loop reads
// them: one step of four columns after another, each with its two halves of eight rows, and each
// half with its planes.
struct Expanded {
  uint8_t* codes;          // [k / 4][2][planes][8][4]
  float *scales, *minima;  // [k / sub][16]
};

template <QuantFormat format, size_t step>
[[gnu::always_inline]] inline void ExpandSteps(const uint8_t* block, uint8_t* codes) {
  for (size_t half = 0; half < 2; ++half) {
    __m256i code[Planes(format)];
    CodesOf<format, step>(block, half, code);
    for (const __m256i& c : code) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(codes), c);
      codes += 32;
    }
  }
  if constexpr (step + 1 < 8) ExpandSteps<format, step + 1>(block, codes);
}

template <QuantFormat format>
void Expand(const uint8_t* group, size_t k, const Expanded& out) {
  uint8_t* codes = out.codes;
  float *scales = out.scales, *minima = out.minima;
  for (size_t first = 0; first < k; first += format.group, group += GroupBytes(format)) {
    const Scales<format> s[2] = {{group, 0}, {group, 1}};
    for (size_t sub = 0; sub < format.group / format.sub; ++sub) {
      for (const Scales<format>& half : s) {
        _mm256_store_ps(scales, half.Scale(sub));
        scales += kWidth;
        if constexpr (format.minimum) _mm256_store_ps(minima, half.Minimum(sub));
        minima += kWidth;
      }
    }
    const uint8_t* block = group + HeaderBytes(format);
    for (size_t b = 0; b < format.group / kQuantBlock; ++b, block += BlockBytes(format)) {
      ExpandSteps<format, 0>(block, codes);
      codes += Planes(format) * kPanelRows * kQuantBlock;
    }
  }
}

// Columns that are multiplied together: with one plane, the sums of 16 bits and of floats take
// twelve registers. Six columns, or two panels, were no faster.
constexpr size_t kTileColumns = 3;

// An expanded panel times kColumns columns from `first`.
template <QuantFormat format, size_t kColumns>
void Tile(const Expanded& w, const ActivationView& x, size_t first, float* y, size_t ldy) {
  constexpr size_t kVectors = 2 * Planes(format), kSteps = SubSteps(format),
                   kRun = RunSteps(format);
  const size_t subs = x.k / format.sub, blocks = x.k / kQuantBlock;
  const int32_t* offset = (format.sub == kQuantBlock ? x.offset : x.sub_offset) + first * subs;
  const float* sums = (format.sub == kQuantBlock ? x.sum : x.sub_sum) + first * subs;
  const float* scale = x.scale + first * blocks;
  const int8_t* q = x.q + first * x.k;
  const uint8_t* codes = w.codes;
  __m256 acc[kColumns][2] = {};
  for (size_t s = 0; s < subs; ++s) {
    __m256i dot[kColumns][2],
        sum[kColumns][kVectors];  // sum lives through the kRun steps that add to it
#pragma GCC unroll 8
    for (size_t t = 0; t < kSteps; ++t, q += 4, codes += kVectors * 32) {
      __m256i code[kVectors];
      for (size_t v = 0; v < kVectors; ++v) code[v] = LoadInts(codes + v * 32);
      if (t % kRun == 0) {
        AddProducts<kVectors, kColumns, true>(code, q, x.k, sum);
      } else {
        AddProducts<kVectors, kColumns, false>(code, q, x.k, sum);
      }
      if (t % kRun != kRun - 1) continue;
      if (t < kRun) {
        Widen<kVectors, kColumns, true>(sum, dot);
      } else {
        Widen<kVectors, kColumns, false>(sum, dot);
      }
    }
    for (size_t c = 0; c < kColumns; ++c) {
      const __m256 dx = _mm256_broadcast_ss(scale + c * blocks + s * format.sub / kQuantBlock);
      __m256i by = _mm256_setzero_si256();
      if constexpr (UnsignedBias(format) != 0) {
        by = _mm256_srai_epi32(_mm256_set1_epi32(offset[c * subs + s]), OffsetShift(format));
      }
      // Each scale is made once for all columns of the tile. The products of integers are exact, so
      // the order of kernels.h concerns only the two fma below: first the product, then the
      // minimum.
      for (size_t r = 0; r < 2; ++r) {
        const __m256 both = _mm256_mul_ps(_mm256_load_ps(w.scales + (2 * s + r) * kWidth), dx);
        const __m256i d = UnsignedBias(format) != 0 ? _mm256_add_epi32(dot[c][r], by) : dot[c][r];
        acc[c][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(d), both, acc[c][r]);
      }
      if constexpr (format.minimum) {
        const __m256 m = _mm256_broadcast_ss(sums + c * subs + s);
        for (size_t r = 0; r < 2; ++r) {
          const __m256 minimum = _mm256_load_ps(w.minima + (2 * s + r) * kWidth);
          acc[c][r] = _mm256_fmadd_ps(minimum, m, acc[c][r]);
        }
      }
    }
  }
  StoreTile(acc, y + first * ldy, ldy);
}

template <QuantFormat format>
void ExpandedColumns(const Expanded& w, const ActivationView& x, size_t n, float* y, size_t ldy) {
  size_t c = 0;
  for (; c + kTileColumns <= n; c += kTileColumns) Tile<format, kTileColumns>(w, x, c, y, ldy);
  // At most two columns are left, so one of these two lines, or none, is taken.
  if (c + 2 == n) Tile<format, 2>(w, x, c, y, ldy);
  if (c + 1 == n) Tile<format, 1>(w, x, c, y, ldy);
}

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void* scratch) requires(IsQuantized(type)) {
  constexpr QuantFormat kFormat = FormatOf(type).quant;
  const size_t bytes = x.k / kFormat.group * GroupBytes(kFormat);
  if (n <= DirectColumns(kFormat)) {
    for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
      size_t c = 0;
      for (; c + 4 <= n; c += 4) DirectTile<kFormat, 4>(w, x, c, y, ldy);
      if (c + 3 == n) DirectTile<kFormat, 3>(w, x, c, y, ldy);
      if (c + 2 == n) DirectTile<kFormat, 2>(w, x, c, y, ldy);
      if (c + 1 == n) DirectTile<kFormat, 1>(w, x, c, y, ldy);
    }
    return;
  }
  // MatMulScratchBytes has room for kExpandedPanels panels of one byte a code. AVX2 expands one
  // panel, but into two planes of codes if a code has 8 bits, so that both must fit there.
  static_assert(Planes(kFormat) <= kExpandedPanels);
  Expanded e;
  e.codes = static_cast<uint8_t*>(scratch);
  e.scales = reinterpret_cast<float*>(e.codes + Planes(kFormat) * x.k * kPanelRows);
  e.minima = e.scales + x.k / kFormat.sub * kPanelRows;
  for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
    Expand<kFormat>(w, x.k, e);
    ExpandedColumns<kFormat>(e, x, n, y, ldy);
  }
}

}  // namespace

constinit const ByWeightType<KernelTable::MatMulFn> kMatMul =
    TableOf([]<WeightType type>() -> KernelTable::MatMulFn { return MatMul<type>; });

}  // namespace lockstep::avx2

#endif  // __x86_64__
