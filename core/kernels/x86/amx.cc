// Matrix products on the tile unit (AMX): int8 for the quantized types, bf16 for BF16. Few columns,
// float types and everything else are AVX-512's.
//
// A tile product takes 16 tokens times 16 weight rows. For the quantized types it covers one
// sub-block, whose exact integer sums are stored, scaled and added up in registers; for BF16 the
// tiles accumulate all of K themselves, in the order that kernels.h gives.
#if defined(__x86_64__)

#include "core/kernels/x86/avx512_unpack.h"

namespace lockstep {
namespace amx {
namespace {

using avx512::Expanded;
using avx512::kWidth;

constexpr size_t kTokens = 16;        // of a whole tile
constexpr size_t kDirectColumns = 4;  // by AVX-512, straight from the packed weights

// The 64 bytes that LDTILECFG reads, laid out as the Intel SDM says. Palette 1 has eight tiles of
// at most 16 rows of 64 bytes. The intrinsics want the numbers of the registers as digits: 0 and 1
// are C of two panels, 2 is A, 3 and 4 are B; 5, 6 and 7 are C and A again for the tokens beyond
// the last whole tile. A register that stays at 0 rows is not configured, and must not be used.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // A is [tokens][k_bytes] and B [k_bytes / 4][16] of 4 bytes. An expanded panel, and one of BF16,
  // already is B: each row of B holds four codes, or two bfloat16, of each of 16 weight rows.
  TileConfig(size_t k_bytes, size_t tail_tokens) {
    const auto set = [this](size_t t, size_t tile_rows, size_t bytes) {
      if (tile_rows == 0) return;
      rows[t] = static_cast<uint8_t>(tile_rows);
      row_bytes[t] = static_cast<uint16_t>(bytes);
    };
    for (const size_t c : {0, 1}) set(c, kTokens, 64);
    set(2, kTokens, k_bytes);
    for (const size_t b : {3, 4}) set(b, k_bytes / 4, 64);
    for (const size_t c : {5, 6}) set(c, tail_tokens, 64);
    set(7, tail_tokens, k_bytes);
  }
};

// gcc 12's intrinsics do not say that they read memory: what was stored before must be there.
void StoresAreDone() { asm volatile("" ::: "memory"); }

// The integer sums of one sub-block of `kSub` columns: [tokens][16] at `sums`. They are exact, as
// 32 products of bytes are far from the end of 32 bits. q: the first token's values, `stride` bytes
// from one token to the next.
template <size_t kSub, bool kTail>
void SubBlock(const int8_t* q, size_t stride, const uint8_t* codes, int32_t* sums) {
  _tile_loadd(3, codes, 64);
  if constexpr (kTail) {
    _tile_zero(5);
    _tile_loadd(7, q, stride);
    _tile_dpbssd(5, 7, 3);
    _tile_stored(5, sums, 64);
  } else {
    _tile_zero(0);
    _tile_loadd(2, q, stride);
    _tile_dpbssd(0, 2, 3);
    _tile_stored(0, sums, 64);
  }
}

// One expanded panel times up to 16 columns from `first`. The tile unit works one sub-block ahead
// of the registers that scale and add.
template <size_t kSub, bool kMinimum, bool kTail>
void QuantizedTile(const Expanded& w, const ActivationView& x, size_t first, size_t tokens,
                   float* y, size_t ldy) {
  constexpr size_t kSubs = kQuantBlock / kSub;
  const size_t subs = x.k / kSub, blocks = x.k / kQuantBlock;
  const int8_t* q = x.q + first * x.k;
  const float* scale = x.scale + first * blocks;
  const float* sum = (kSubs == 1 ? x.sum : x.sub_sum) + first * subs;
  // Tiles can only be moved to vector registers through memory. With two buffers in turns, the
  // store of one sub-block has time to finish while the one before is loaded, scaled and added up.
  alignas(64) int32_t sums[2][kTokens][kWidth];
  __m512 acc[kTokens] = {};
  SubBlock<kSub, kTail>(q, x.k, w.codes, sums[0][0]);
  for (size_t s = 0; s < subs; ++s) {
    if (first == 0) avx512::FetchNext(w, s);
    if (s + 1 < subs) {
      SubBlock<kSub, kTail>(q + (s + 1) * kSub, x.k, w.codes + (s + 1) * kSub * kPanelRows,
                            sums[(s + 1) % 2][0]);
    }
    const __m512 sw = _mm512_load_ps(w.scales + s * kWidth);
    const __m512 minimum = kMinimum ? _mm512_load_ps(w.minima + s * kWidth) : sw;
#pragma GCC unroll 16
    for (size_t c = 0; c < kTokens; ++c) {
      // A whole tile has a constant number of tokens, so that acc stays in registers; only the tail
      // asks.
      if (kTail && c >= tokens) break;
      const __m512 both = _mm512_mul_ps(sw, _mm512_set1_ps(scale[c * blocks + s / kSubs]));
      const __m512 dot = _mm512_cvtepi32_ps(_mm512_load_si512(sums[s % 2][c]));
      acc[c] = _mm512_fmadd_ps(dot, both, acc[c]);
      if constexpr (kMinimum) {
        acc[c] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(sum[c * subs + s]), acc[c]);
      }
    }
  }
  for (size_t c = 0; c < tokens; ++c) _mm512_storeu_ps(y + (first + c) * ldy, acc[c]);
}

// What the tile unit does not do, or not faster.
template <WeightType type>
void MatMulByAvx512(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
                    size_t ldy, void* scratch) {
  avx512::kMatMul.of[static_cast<size_t>(type)](w, panels, x, n, y, ldy, scratch);
}

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void* scratch) requires(IsQuantized(type)) {
  if (n <= kDirectColumns) {
    return MatMulByAvx512<type>(w, panels, x, n, y, ldy, scratch);
  }
  constexpr QuantFormat kFormat = FormatOf(type).quant;
  Expanded e = avx512::ExpandedIn<kFormat>(scratch, x.k);
  const size_t bytes = x.k / kFormat.group * GroupBytes(kFormat);
  const size_t whole = n / kTokens * kTokens;
  const TileConfig config(kFormat.sub, n - whole);
  // The configuration is loaded once for all panels, and given back at the end: in its initial
  // state the system need not save 8 KiB of tiles when it switches threads.
  StoresAreDone();
  _tile_loadconfig(&config);
  for (size_t p = 0; p < panels; ++p, w += bytes, y += kPanelRows) {
    avx512::Expand<kFormat, 0>(w, x.k, e.codes, e.scales, e.minima);
    StoresAreDone();
    e.next = w + bytes;
    e.next_bytes = p + 1 < panels ? bytes / (x.k / kFormat.sub) : 0;
    for (size_t c = 0; c < whole; c += kTokens) {
      QuantizedTile<kFormat.sub, kFormat.minimum, false>(e, x, c, kTokens, y, ldy);
    }
    if (whole < n)
      QuantizedTile<kFormat.sub, kFormat.minimum, true>(e, x, whole, n - whole, y, ldy);
  }
  _tile_release();
}

// Two panels times up to 16 columns from `first`, which shares each load of A. C stays in the tiles
// for all of K. TDPBF16PS adds the even products and the odd ones in two chains, with denormals as
// zero and to nearest even; kernels.h took its order from there, so that other machines follow.
template <bool kTail>
void BF16Tile(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first, float* y,
              size_t ldy) {
  const uint16_t* column = x.bf16 + first * x.stride;
  const size_t stride = x.stride * sizeof(uint16_t), y_stride = ldy * sizeof(float);
  if constexpr (kTail) {
    _tile_zero(5);
    _tile_zero(6);
  } else {
    _tile_zero(0);
    _tile_zero(1);
  }
  for (size_t k = 0; k < x.k; k += kQuantBlock) {
    const uint8_t* b = w + k * kPanelRows * sizeof(uint16_t);
    _tile_loadd(3, b, 64);
    _tile_loadd(4, b + panel_bytes, 64);
    if constexpr (kTail) {
      _tile_loadd(7, column + k, stride);
      _tile_dpbf16ps(5, 7, 3);
      _tile_dpbf16ps(6, 7, 4);
    } else {
      _tile_loadd(2, column + k, stride);
      _tile_dpbf16ps(0, 2, 3);
      _tile_dpbf16ps(1, 2, 4);
    }
  }
  float* to = y + first * ldy;
  if constexpr (kTail) {
    _tile_stored(5, to, y_stride);
    _tile_stored(6, to + kPanelRows, y_stride);
  } else {
    _tile_stored(0, to, y_stride);
    _tile_stored(1, to + kPanelRows, y_stride);
  }
}

template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void* scratch) requires(type == WeightType::kBF16) {
  constexpr auto kPlain = MatMulByAvx512<type>;
  if (n <= kDirectColumns || x.k % kQuantBlock != 0)
    return kPlain(w, panels, x, n, y, ldy, scratch);
  // A last part of fewer than 32 columns would need a configuration of its own, so the line above
  // leaves such K to AVX-512. So is a single last panel, as tiles here take two.
  const size_t bytes = x.k * kPanelRows * sizeof(uint16_t), whole = n / kTokens * kTokens;
  const TileConfig config(kQuantBlock * sizeof(uint16_t), n - whole);
  StoresAreDone();
  _tile_loadconfig(&config);
  size_t p = 0;
  for (; p + 2 <= panels; p += 2, w += 2 * bytes, y += 2 * kPanelRows) {
    for (size_t c = 0; c < whole; c += kTokens) BF16Tile<false>(w, bytes, x, c, y, ldy);
    if (whole < n) BF16Tile<true>(w, bytes, x, whole, y, ldy);
  }
  _tile_release();
  if (p < panels) kPlain(w, 1, x, n, y, ldy, scratch);
}

constexpr ByWeightType<KernelTable::MatMulFn> kMatMul =
    TableOf([]<WeightType type>() -> KernelTable::MatMulFn {
      if constexpr (IsQuantized(type) || type == WeightType::kBF16) return MatMul<type>;
      return MatMulByAvx512<type>;
    });

}  // namespace
}  // namespace amx

const KernelTable& AmxKernels() {
  static const KernelTable kTable = [] {
    KernelTable t = Avx512Kernels();
    t.isa = "amx";
    t.matmul = amx::kMatMul.of;
    return t;
  }();
  return kTable;
}

}  // namespace lockstep

#endif  // __x86_64__
