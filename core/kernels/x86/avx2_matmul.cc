// Matrix products for AVX2. A few columns are multiplied straight from the packed weights; for
// many, a panel at a time is first expanded to codes in whole bytes and scales in floats, so that
// one inner loop serves all types.
//
// vpmaddubsw multiplies unsigned codes by signed activations and adds pairs into 16 bits, as does
// vpaddw at twice its rate; vpmaddwd by ones then widens. The codes' width decides how long a sum
// of 16 bits can be, since |q| <= 127; codes of 8 bits are taken as two nibbles.
#if defined(__x86_64__)

#include "core/kernels/x86/avx2.h"

namespace lockstep::avx2 {
namespace {

// ---- float types

template <WeightType type>
__m256 LoadWeights(const uint8_t* panel, size_t k, size_t half) {
  const size_t i = k * kPanelRows + half * kWidth;
  if constexpr (type == WeightType::kF32) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(panel) + i);
  } else {
    return LoadHalf(reinterpret_cast<const uint16_t*>(panel) + i);
  }
}

template <size_t P, size_t C>
void StoreTile(const __m256 (&acc)[C][2 * P], float* y, size_t ldy) {
  for (size_t c = 0; c < C; ++c) {
    for (size_t v = 0; v < 2 * P; ++v) _mm256_storeu_ps(y + c * ldy + v * kWidth, acc[c][v]);
  }
}

// P panels times C columns.
template <WeightType type, size_t P, size_t C>
struct FloatTile {
  static void Run(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first,
                  float* y, size_t ldy) {
    __m256 acc[C][2 * P] = {};
    const float* column = x.f32 + first * x.stride;
    for (size_t k = 0; k < x.k; ++k) {
      __m256 weight[2 * P];
      for (size_t v = 0; v < 2 * P; ++v) {
        weight[v] = LoadWeights<type>(w + v / 2 * panel_bytes, k, v % 2);
      }
      for (size_t c = 0; c < C; ++c) {
        const __m256 xc = _mm256_broadcast_ss(column + c * x.stride + k);
        for (size_t v = 0; v < 2 * P; ++v) acc[c][v] = _mm256_fmadd_ps(weight[v], xc, acc[c][v]);
      }
    }
    StoreTile<P, C>(acc, y + first * ldy, ldy);
  }
};

template <size_t P, size_t C>
struct FloatTile<WeightType::kBF16, P, C> {
  // Pair i of the columns: the even and the odd one's chain.
  static void Pair(const uint8_t* w, size_t panel_bytes, const float* column, size_t stride,
                   size_t i, bool odd_too, __m256 (&e)[C][2 * P], __m256 (&o)[C][2 * P]) {
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    __m256 even[2 * P], odd[2 * P];
    for (size_t v = 0; v < 2 * P; ++v) {
      const uint8_t* from = w + v / 2 * panel_bytes + i * 64 + v % 2 * 32;
      const __m256i pair = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
      even[v] = _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
      odd[v] = _mm256_castsi256_ps(_mm256_and_si256(pair, upper));
    }
    for (size_t c = 0; c < C; ++c) {
      const float* x = column + c * stride + 2 * i;
      const __m256 x0 = _mm256_broadcast_ss(x);
      for (size_t v = 0; v < 2 * P; ++v) e[c][v] = _mm256_fmadd_ps(even[v], x0, e[c][v]);
      if (!odd_too) continue;
      const __m256 x1 = _mm256_broadcast_ss(x + 1);
      for (size_t v = 0; v < 2 * P; ++v) o[c][v] = _mm256_fmadd_ps(odd[v], x1, o[c][v]);
    }
  }

  static void Run(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first,
                  float* y, size_t ldy) {
    __m256 acc[C][2 * P] = {};
    const float* column = x.f32 + first * x.stride;
    for (size_t begin = 0; begin < x.k; begin += kQuantBlock) {
      __m256 e[C][2 * P] = {}, o[C][2 * P] = {};
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
      for (size_t c = 0; c < C; ++c) {
        for (size_t v = 0; v < 2 * P; ++v) {
          acc[c][v] = _mm256_add_ps(acc[c][v], _mm256_add_ps(e[c][v], o[c][v]));
        }
      }
    }
    StoreTile<P, C>(acc, y + first * ldy, ldy);
  }
};

// Twelve chains of fma for many columns, eight for the rest: that hides its latency.
template <WeightType type>
void MatMulFloat(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
                 size_t ldy, void*) {
  constexpr bool kTwoChains = type == WeightType::kBF16;
  constexpr size_t kColumns = kTwoChains ? 3 : 6, kPanels = kTwoChains ? 2 : 4;
  const size_t bytes = PanelBytes(type, x.k);
  const size_t whole = n / kColumns * kColumns;
  for (size_t p = 0; p < panels; ++p) {
    for (size_t c = 0; c < whole; c += kColumns) {
      FloatTile<type, 1, kColumns>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
  for (size_t c = whole; c < n; ++c) {
    size_t p = 0;
    for (; p + kPanels <= panels; p += kPanels) {
      FloatTile<type, kPanels, 1>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows, ldy);
    }
    for (; p < panels; ++p) {
      FloatTile<type, 1, 1>::Run(w + p * bytes, bytes, x, c, y + p * kPanelRows, ldy);
    }
  }
}

// ---- quantized types

// The unsigned code is weight + Bias(f).
constexpr int Bias(QuantFormat f) { return f.table ? 128 : f.bias; }

// x.offset is -128 * sum; this shift makes it -Bias * sum.
constexpr int OffsetShift(QuantFormat f) {
  int shift = 0;
  while ((Bias(f) << shift) < 128) ++shift;
  return shift;
}

// Bytes that the inner loops see of a weight: its code or that one's nibbles, the low one first.
constexpr size_t Planes(QuantFormat f) { return f.table || f.low_bits == 8 ? 2 : 1; }

// Steps of four columns that a scale is for, and that a sum of 16 bits can span.
constexpr size_t SubSteps(QuantFormat f) { return f.sub / 4; }
constexpr size_t RunSteps(QuantFormat f) {
  const size_t bits = Planes(f) == 2 ? 4 : f.low_bits + f.high_bits;
  size_t steps = SubSteps(f);
  while (steps * 2 * ((1u << bits) - 1) * 127 > 32767) steps /= 2;
  return steps;
}

__m256i LoadInts(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

__m256i BroadcastFour(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

// Bits [from, from + bits) of the bytes of v, at bit `to`.
template <int from, int to, int bits>
__m256i MoveBits(__m256i v) {
  if constexpr (to > from) v = _mm256_slli_epi16(v, to - from);
  if constexpr (from > to) v = _mm256_srli_epi16(v, from - to);
  return _mm256_and_si256(v, _mm256_set1_epi8(static_cast<char>(((1 << bits) - 1) << to)));
}

__m256i LookUp(const uint8_t (&table)[16], __m256i index) {
  const __m128i t = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}

// kIq4Values plus 128, by nibbles.
alignas(16) constexpr uint8_t kTableLow[16] = {1, 8,  13, 15, 15, 13, 10, 6,
                                               1, 13, 9,  6,  5,  5,  9,  1};
alignas(16) constexpr uint8_t kTableHigh[16] = {0, 1, 2, 3,  4,  5,  6,  7,
                                                8, 8, 9, 10, 11, 12, 13, 15};
constexpr bool TablesAreRight() {
  for (size_t i = 0; i < 16; ++i) {
    if (kTableLow[i] + 16 * kTableHigh[i] != kIq4Values[i] + 128) return false;
  }
  return true;
}
static_assert(TablesAreRight());

// Columns 4t .. 4t + 3 of the block, of eight rows.
template <QuantFormat f, int t>
[[gnu::always_inline]] inline void CodesOf(const uint8_t* block, size_t half,
                                           __m256i (&code)[Planes(f)]) {
  constexpr int kLow = static_cast<int>(f.low_bits), kHigh = static_cast<int>(f.high_bits);
  constexpr int kShare = 8 / kLow;
  const __m256i bytes = LoadInts(block + t / kShare * 64 + half * 32);
  if constexpr (f.table) {
    const __m256i index = MoveBits<t % kShare * kLow, 0, kLow>(bytes);
    code[0] = LookUp(kTableLow, index), code[1] = LookUp(kTableHigh, index);
  } else if constexpr (kLow == 8) {
    code[0] = MoveBits<0, 0, 4>(bytes), code[1] = MoveBits<4, 0, 4>(bytes);
  } else {
    code[0] = MoveBits<t % kShare * kLow, 0, kLow>(bytes);
    if constexpr (kHigh > 0) {
      constexpr int kHighShare = 8 / kHigh;
      const __m256i high = LoadInts(block + LowPlaneBytes(f) + t / kHighShare * 64 + half * 32);
      code[0] = _mm256_or_si256(code[0], MoveBits<t % kHighShare * kHigh, kLow, kHigh>(high));
    }
  }
}

// The scales and minima of the sub-blocks of a group, for the rows from 8 * half.
template <QuantFormat f>
class Scales {
 public:
  Scales(const uint8_t* group, size_t half)
      : subs_(group + (f.minimum ? 4 : 2) * kPanelRows + half * kWidth),
        scale_(LoadHalf(reinterpret_cast<const uint16_t*>(group) + half * kWidth)) {
    if constexpr (f.minimum) {
      const uint16_t* minima = reinterpret_cast<const uint16_t*>(group) + kPanelRows;
      minimum_ = LoadHalf(minima + half * kWidth);
    }
  }
  __m256 Scale(size_t sub) const {
    if constexpr (f.group == kQuantBlock) return scale_;
    __m256i whole;
    if constexpr (f.nibble_scales) {
      whole = _mm256_and_si256(Load(sub), _mm256_set1_epi32(15));
    } else {
      whole = _mm256_cvtepi8_epi32(Bytes(sub));
    }
    return _mm256_mul_ps(scale_, _mm256_cvtepi32_ps(whole));
  }
  __m256 Minimum(size_t sub) const {
    if constexpr (f.group == kQuantBlock) return minimum_;
    __m256i whole;
    if constexpr (f.nibble_scales) {
      whole = _mm256_srli_epi32(Load(sub), 4);
    } else {
      whole = Load(f.group / f.sub + sub);
    }
    const __m256 magnitude = _mm256_cvtepi32_ps(whole);
    return _mm256_mul_ps(minimum_, _mm256_xor_ps(magnitude, _mm256_set1_ps(-0.0f)));
  }

 private:
  __m128i Bytes(size_t row) const {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(subs_ + row * kPanelRows));
  }
  __m256i Load(size_t row) const { return _mm256_cvtepu8_epi32(Bytes(row)); }
  const uint8_t* subs_;
  __m256 scale_, minimum_;
};

// Keeps v in its register: gcc 12 would reorder the sums of integers, products first, and spill.
[[gnu::always_inline]] inline void Pin(__m256i& v) { asm("" : "+x"(v)); }

// Adds the products of V vectors of codes with four values of each of C columns.
template <size_t V, size_t C, bool start>
[[gnu::always_inline]] inline void AddProducts(const __m256i (&code)[V], const int8_t* q,
                                               size_t stride, __m256i (&sum)[C][V]) {
  for (size_t c = 0; c < C; ++c) {
    const __m256i four = BroadcastFour(q + c * stride);
    for (size_t v = 0; v < V; ++v) {
      const __m256i product = _mm256_maddubs_epi16(code[v], four);
      sum[c][v] = start ? product : _mm256_add_epi16(sum[c][v], product);
      Pin(sum[c][v]);
    }
  }
}

// Widens sums of 16 bits, V / 2 planes for each register of rows.
template <size_t V, size_t C, bool start>
[[gnu::always_inline]] inline void Widen(const __m256i (&sum)[C][V], __m256i (&dot)[C][2]) {
  const __m256i ones = _mm256_set1_epi16(1), sixteens = _mm256_set1_epi16(16);
  for (size_t c = 0; c < C; ++c) {
    for (size_t r = 0; r < 2; ++r) {
      __m256i wide = _mm256_madd_epi16(sum[c][r * V / 2], ones);
      if constexpr (V == 4) {
        wide = _mm256_add_epi32(wide, _mm256_madd_epi16(sum[c][2 * r + 1], sixteens));
      }
      dot[c][r] = start ? wide : _mm256_add_epi32(dot[c][r], wide);
    }
  }
}

// Steps t to `end` of a block of packed weights; q: the block's values of the first column.
template <QuantFormat f, size_t C, int begin, int t, int end>
[[gnu::always_inline]] inline void DirectSteps(const uint8_t* block, const int8_t* q, size_t stride,
                                               __m256i (&sum)[C][2 * Planes(f)],
                                               __m256i (&dot)[C][2]) {
  constexpr size_t kPlanes = Planes(f);
  constexpr int kRun = static_cast<int>(RunSteps(f));
  __m256i half[2][kPlanes], code[2 * kPlanes];
  CodesOf<f, t>(block, 0, half[0]);
  CodesOf<f, t>(block, 1, half[1]);
  for (size_t v = 0; v < 2 * kPlanes; ++v) code[v] = half[v / kPlanes][v % kPlanes];
  AddProducts<2 * kPlanes, C, t % kRun == 0>(code, q + 4 * t, stride, sum);
  if constexpr (t % kRun == kRun - 1) Widen < 2 * kPlanes, C, t - begin<kRun>(sum, dot);
  if constexpr (t + 1 < end) DirectSteps<f, C, begin, t + 1, end>(block, q, stride, sum, dot);
}

// Columns up to which expanding does not pay; plain nibbles are the cheapest to unpack.
constexpr size_t DirectColumns(QuantFormat f) {
  return f.low_bits == 4 && f.high_bits == 0 && !f.table ? 8 : 4;
}

// One panel times C columns from `column`, straight from the packed weights.
template <QuantFormat f, size_t C>
void DirectTile(const uint8_t* group, const ActivationView& x, size_t column, float* y,
                size_t ldy) {
  constexpr size_t kSubs = kQuantBlock / f.sub;
  const size_t subs = x.k / f.sub, blocks = x.k / kQuantBlock;
  const int32_t* offset = (f.sub == kQuantBlock ? x.offset : x.sub_offset) + column * subs;
  const float* sums = (f.sub == kQuantBlock ? x.sum : x.sub_sum) + column * subs;
  const float* x_scale = x.scale + column * blocks;
  const int8_t* q = x.q + column * x.k;
  __m256 acc[C][2] = {};
  for (size_t first = 0; first < x.k; first += f.group, group += GroupBytes(f)) {
    const Scales<f> scales[2] = {{group, 0}, {group, 1}};
    for (size_t b = 0; b < f.group / kQuantBlock; ++b) {
      const size_t k = first + b * kQuantBlock;
      const uint8_t* block = group + HeaderBytes(f) + b * BlockBytes(f);
      __m256i sum[C][2 * Planes(f)], dot[kSubs][C][2];
      if constexpr (kSubs == 1) {
        DirectSteps<f, C, 0, 0, 8>(block, q + k, x.k, sum, dot[0]);
      } else {
        DirectSteps<f, C, 0, 0, 4>(block, q + k, x.k, sum, dot[0]);
        DirectSteps<f, C, 4, 4, 8>(block, q + k, x.k, sum, dot[1]);
      }
      for (size_t h = 0; h < kSubs; ++h) {
        const size_t sub = k / f.sub + h;
        for (size_t r = 0; r < 2; ++r) {
          const __m256 scale = scales[r].Scale(b * kSubs + h);
          for (size_t c = 0; c < C; ++c) {
            __m256i d = dot[h][c][r];
            if constexpr (Bias(f) != 0) {
              const int32_t by = offset[c * subs + sub] >> OffsetShift(f);
              d = _mm256_add_epi32(d, _mm256_set1_epi32(by));
            }
            const __m256 dx = _mm256_set1_ps(x_scale[c * blocks + k / kQuantBlock]);
            acc[c][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(d), _mm256_mul_ps(scale, dx), acc[c][r]);
          }
          if constexpr (f.minimum) {
            const __m256 minimum = scales[r].Minimum(b * kSubs + h);
            for (size_t c = 0; c < C; ++c) {
              acc[c][r] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(sums[c * subs + sub]), acc[c][r]);
            }
          }
        }
      }
    }
  }
  StoreTile<1, C>(acc, y + column * ldy, ldy);
}

// A panel as the inner loop wants it.
struct Expanded {
  uint8_t* codes;          // [k / 4][2][planes][8][4]
  float *scales, *minima;  // [k / sub][16]
};

template <QuantFormat f, int t>
[[gnu::always_inline]] inline void ExpandSteps(const uint8_t* block, uint8_t* codes) {
  for (size_t half = 0; half < 2; ++half) {
    __m256i code[Planes(f)];
    CodesOf<f, t>(block, half, code);
    for (const __m256i& c : code) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(codes), c);
      codes += 32;
    }
  }
  if constexpr (t + 1 < 8) ExpandSteps<f, t + 1>(block, codes);
}

template <QuantFormat f>
void Expand(const uint8_t* group, size_t k, const Expanded& out) {
  uint8_t* codes = out.codes;
  float *scales = out.scales, *minima = out.minima;
  for (size_t first = 0; first < k; first += f.group, group += GroupBytes(f)) {
    const Scales<f> s[2] = {{group, 0}, {group, 1}};
    for (size_t sub = 0; sub < f.group / f.sub; ++sub) {
      for (const Scales<f>& half : s) {
        _mm256_store_ps(scales, half.Scale(sub));
        scales += kWidth;
        if constexpr (f.minimum) _mm256_store_ps(minima, half.Minimum(sub));
        minima += kWidth;
      }
    }
    const uint8_t* block = group + HeaderBytes(f);
    for (size_t b = 0; b < f.group / kQuantBlock; ++b, block += BlockBytes(f)) {
      ExpandSteps<f, 0>(block, codes);
      codes += Planes(f) * kPanelRows * kQuantBlock;
    }
  }
}

// Columns that are multiplied together: with one plane, the sums of 16 bits and of floats take
// twelve registers. Six columns, or two panels, were no faster.
constexpr size_t kTileColumns = 3;

// An expanded panel times C columns from `first`.
template <QuantFormat f, size_t C>
void Tile(const Expanded& w, const ActivationView& x, size_t first, float* y, size_t ldy) {
  constexpr size_t V = 2 * Planes(f), kSteps = SubSteps(f), kRun = RunSteps(f);
  const size_t subs = x.k / f.sub, blocks = x.k / kQuantBlock;
  const int32_t* offset = (f.sub == kQuantBlock ? x.offset : x.sub_offset) + first * subs;
  const float* sums = (f.sub == kQuantBlock ? x.sum : x.sub_sum) + first * subs;
  const float* scale = x.scale + first * blocks;
  const int8_t* q = x.q + first * x.k;
  const uint8_t* codes = w.codes;
  __m256 acc[C][2] = {};
  for (size_t s = 0; s < subs; ++s) {
    __m256i dot[C][2], sum[C][V];  // sum lives through the kRun steps that add to it
#pragma GCC unroll 8
    for (size_t t = 0; t < kSteps; ++t, q += 4, codes += V * 32) {
      __m256i code[V];
      for (size_t v = 0; v < V; ++v) code[v] = LoadInts(codes + v * 32);
      if (t % kRun == 0) {
        AddProducts<V, C, true>(code, q, x.k, sum);
      } else {
        AddProducts<V, C, false>(code, q, x.k, sum);
      }
      if (t % kRun != kRun - 1) continue;
      if (t < kRun) {
        Widen<V, C, true>(sum, dot);
      } else {
        Widen<V, C, false>(sum, dot);
      }
    }
    for (size_t c = 0; c < C; ++c) {
      const __m256 dx = _mm256_broadcast_ss(scale + c * blocks + s * f.sub / kQuantBlock);
      __m256i by = _mm256_setzero_si256();
      if constexpr (Bias(f) != 0) {
        by = _mm256_srai_epi32(_mm256_set1_epi32(offset[c * subs + s]), OffsetShift(f));
      }
      for (size_t r = 0; r < 2; ++r) {
        const __m256 both = _mm256_mul_ps(_mm256_load_ps(w.scales + (2 * s + r) * kWidth), dx);
        const __m256i d = Bias(f) != 0 ? _mm256_add_epi32(dot[c][r], by) : dot[c][r];
        acc[c][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(d), both, acc[c][r]);
      }
      if constexpr (f.minimum) {
        const __m256 m = _mm256_broadcast_ss(sums + c * subs + s);
        for (size_t r = 0; r < 2; ++r) {
          const __m256 minimum = _mm256_load_ps(w.minima + (2 * s + r) * kWidth);
          acc[c][r] = _mm256_fmadd_ps(minimum, m, acc[c][r]);
        }
      }
    }
  }
  StoreTile<1, C>(acc, y + first * ldy, ldy);
}

template <QuantFormat f>
void ExpandedColumns(const Expanded& w, const ActivationView& x, size_t n, float* y, size_t ldy) {
  size_t c = 0;
  for (; c + kTileColumns <= n; c += kTileColumns) Tile<f, kTileColumns>(w, x, c, y, ldy);
  if (c + 2 <= n) Tile<f, 2>(w, x, c, y, ldy), c += 2;
  if (c < n) Tile<f, 1>(w, x, c, y, ldy);
}

template <WeightType type>
void MatMulQuantized(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
                     size_t ldy, void* scratch) {
  constexpr QuantFormat f = FormatOf(type).quant;
  const size_t bytes = x.k / f.group * GroupBytes(f);
  if (n <= DirectColumns(f)) {
    for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
      size_t c = 0;
      for (; c + 4 <= n; c += 4) DirectTile<f, 4>(w, x, c, y, ldy);
      if (c + 3 == n) DirectTile<f, 3>(w, x, c, y, ldy);
      if (c + 2 == n) DirectTile<f, 2>(w, x, c, y, ldy);
      if (c + 1 == n) DirectTile<f, 1>(w, x, c, y, ldy);
    }
    return;
  }
  static_assert(Planes(f) <= kExpandedPanels);
  Expanded e;
  e.codes = static_cast<uint8_t*>(scratch);
  e.scales = reinterpret_cast<float*>(e.codes + Planes(f) * x.k * kPanelRows);
  e.minima = e.scales + x.k / f.sub * kPanelRows;
  for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
    Expand<f>(w, x.k, e);
    ExpandedColumns<f>(e, x, n, y, ldy);
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

}  // namespace lockstep::avx2

#endif  // __x86_64__
