// Matrix products for AVX-512. Up to some dozens of columns are multiplied straight from the packed
// weights, which are asked for ahead, so that a step takes the time of its products or of memory,
// whichever is more, and not the sum of both; for many, two panels at a time are first expanded to
// one byte a code and one float a scale, so that one inner loop serves all types.
#if defined(__x86_64__)

#include "core/kernels/float_tile.h"
#include "core/kernels/x86/avx512_unpack.h"

namespace lockstep::avx512 {
namespace {

// Columns up to which expanding does not pay: the products of bytes leave two of the four vector
// units to unpacking, and fewer bytes are written and read.
constexpr size_t kDirectColumns = 64;
// Columns that are taken together: their integer and float sums fill half of the registers.
constexpr size_t kTileColumns = 8;
// How many bytes ahead of its use a panel is asked for: what memory sends while one waits for it.
// Half as far was slower on Zen 4, and so was half as far again.
constexpr size_t kAhead = 8192;

// run<columns>(first) for all n columns, in as few runs of at most kMost as possible, of about the
// same size.
template <size_t kMost, class Run>
[[gnu::always_inline]] inline void InTiles(size_t n, const Run& run) {
  size_t first = 0;
  for (size_t tiles = (n + kMost - 1) / kMost; tiles > 0; --tiles) {
    const size_t columns = (n - first + tiles - 1) / tiles;
    [&]<size_t... i>(std::index_sequence<i...>) {
      ((columns == i + 1 ? run.template operator()<i + 1>(first) : void()), ...);
    }
    (std::make_index_sequence<kMost>());
    first += columns;
  }
}

// ---- float types

// Chains that hide the latency of fma: of few columns, four panels have as many.
constexpr size_t kChains = 8;

// Two panels times up to eight columns at a time, so that a short text's rows read the weights
// twice at most; of four panels one after the other, which share what they read of x.
template <WeightType type>
void MatMul(const uint8_t* w, size_t panels, const ActivationView& x, size_t n, float* y,
            size_t ldy, void*) requires(!IsQuantized(type)) {
  // BF16 has two chains for each output (kernels.h), so half the columns make as many chains.
  constexpr size_t kColumns = type == WeightType::kBF16 ? 4 : 8, kFew = kChains / 2 - 1;
  const size_t bytes = PanelBytes(type, x.k);
  size_t p = 0;
  for (; p + 4 <= panels; p += 4, w += 4 * bytes, y += 4 * kPanelRows) {
    if (n <= kFew) {
      InTiles<kFew>(n, [&]<size_t columns>(size_t first) {
        FloatTile<Floats, type, 4, columns>::Run(w, bytes, x, first, y, ldy);
      });
      continue;
    }
    InTiles<kColumns>(n, [&]<size_t columns>(size_t first) {
      FloatTile<Floats, type, 2, columns>::Run(w, bytes, x, first, y, ldy);
      FloatTile<Floats, type, 2, columns>::Run(w + 2 * bytes, bytes, x, first, y + 2 * kPanelRows,
                                               ldy);
    });
  }
  for (; p < panels; ++p, w += bytes, y += kPanelRows) {
    InTiles<kColumns>(n, [&]<size_t columns>(size_t first) {
      FloatTile<Floats, type, 1, columns>::Run(w, bytes, x, first, y, ldy);
    });
  }
}

// ---- quantized types

// Four activations in every lane of 32 bits, where they meet the four codes of one row.
__m512i BroadcastFour(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm512_set1_epi32(four);
}

// Asks for what is kAhead bytes behind `from`, into the second-level cache, as the first level has
// too few requests in flight for the speed of memory.
template <size_t bytes>
[[gnu::always_inline]] inline void FetchAhead(const uint8_t* from) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + kAhead + i), _MM_HINT_T1);
  }
}

// One panel times kColumns columns from `first`, straight from the packed weights.
template <QuantFormat format, size_t kColumns>
class DirectTile {
 public:
  DirectTile(const ActivationView& x, size_t first)
      : k_(x.k),
        q_(x.q + first * x.k),
        scale_(x.scale + first * (x.k / kQuantBlock)),
        offset_((kSubs == 1 ? x.offset : x.sub_offset) + first * (x.k / format.sub)),
        sum_((kSubs == 1 ? x.sum : x.sub_sum) + first * (x.k / format.sub)) {}

  // The weights that come kAhead behind are asked for if `fetch`, which is for the first tile of a
  // panel; y: its first column.
  template <bool fetch>
  void Run(const uint8_t* group, float* y, size_t ldy) const {
    __m512 acc[kColumns] = {};
    for (size_t k = 0; k < k_; group += GroupBytes(format)) {
      const Scales<format> scales(group);
      if constexpr (fetch) FetchAhead<HeaderBytes(format)>(group);
      const uint8_t* block = group + HeaderBytes(format);
      for (size_t b = 0; b < format.group / kQuantBlock; ++b, block += BlockBytes(format)) {
        if constexpr (fetch) FetchAhead<BlockBytes(format)>(block);
        AddSubBlock<0>(block, scales, b * kSubs, k, acc);
        if constexpr (kSubs == 2) AddSubBlock<1>(block, scales, b * kSubs + 1, k, acc);
        k += kQuantBlock;
      }
    }
    for (size_t c = 0; c < kColumns; ++c) _mm512_storeu_ps(y + c * ldy, acc[c]);
  }

 private:
  // A step is one vpdpbusd: four columns of 16 rows. A block of 32 columns has eight of them, and
  // one scale, or two where a scale is for 16 columns.
  static constexpr size_t kSubs = kQuantBlock / format.sub, kSteps = 8 / kSubs;

  // Step after step of all columns, so that the codes are unpacked as they are needed and the
  // columns' sums hide the latency of vpdpbusd.
  template <size_t step>
  [[gnu::always_inline]] void Step(const uint8_t* block, const int8_t* q,
                                   __m512i (&dot)[kColumns]) const {
    const __m512i code = CodesOf<format, step>(block);
    for (size_t c = 0; c < kColumns; ++c) {
      dot[c] = _mm512_dpbusd_epi32(dot[c], code, BroadcastFour(q + c * k_ + 4 * step));
    }
  }

  // The sub-block `half` of the block of columns k .. k + 31, which is `in_group` of its group.
  template <size_t half>
  [[gnu::always_inline]] void AddSubBlock(const uint8_t* block, const Scales<format>& scales,
                                          size_t in_group, size_t k,
                                          __m512 (&acc)[kColumns]) const {
    const size_t blocks = k_ / kQuantBlock, subs = k_ / format.sub, sub = k / format.sub + half;
    __m512i dot[kColumns];
    for (size_t c = 0; c < kColumns; ++c) {
      dot[c] = _mm512_setzero_si512();
      // The codes are weight + bias, so the sum starts at -bias * (sum of q), exactly.
      if constexpr (UnsignedBias(format) != 0) {
        const __m512i offset = _mm512_set1_epi32(offset_[c * subs + sub]);
        dot[c] = _mm512_srai_epi32(offset, OffsetShift(format));
      }
    }
    [&]<size_t... step>(std::index_sequence<step...>) __attribute__((always_inline)) {
      (Step<half * kSteps + step>(block, q_ + k, dot), ...);
    }
    (std::make_index_sequence<kSteps>());
    const __m512 scale = scales.Scale(in_group);
    for (size_t c = 0; c < kColumns; ++c) {
      const __m512 dx = _mm512_set1_ps(scale_[c * blocks + k / kQuantBlock]);
      acc[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[c]), _mm512_mul_ps(scale, dx), acc[c]);
    }
    if constexpr (format.minimum) {
      const __m512 minimum = scales.Minimum(in_group);
      for (size_t c = 0; c < kColumns; ++c) {
        acc[c] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(sum_[c * subs + sub]), acc[c]);
      }
    }
  }

  size_t k_;
  const int8_t* q_;        // [kColumns][k]
  const float* scale_;     // [kColumns][k / 32]
  const int32_t* offset_;  // [kColumns][k / sub]
  const float* sum_;       // [kColumns][k / sub]
};

// One panel times all columns.
template <QuantFormat format>
void DirectColumns(const uint8_t* panel, const ActivationView& x, size_t n, float* y, size_t ldy) {
  InTiles<kTileColumns>(n, [&]<size_t columns>(size_t first) {
    const DirectTile<format, columns> tile(x, first);
    // The reads of a single column are near enough to each other for the processor to run ahead by
    // itself, and its own requests are better ones. Later tiles find the panel in a cache.
    if (columns > 1 && first == 0) {
      tile.template Run<true>(panel, y, ldy);
    } else {
      tile.template Run<false>(panel, y + first * ldy, ldy);
    }
  });
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
      DirectColumns<kFormat>(w, x, n, y, ldy);
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
