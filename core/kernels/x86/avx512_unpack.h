// Reads the quantized panels of layout.h into AVX-512 registers. For the AVX-512 and AMX files
// only.
#pragma once

#include "core/kernels/unpack.h"
#include "core/kernels/x86/avx512.h"

namespace lockstep::avx512 {
namespace {

__m512i LoadBytes(const uint8_t* p) { return _mm512_loadu_si512(p); }

// The unsigned codes of columns 4 * step .. + 3 of the block, of 16 rows.
template <QuantFormat format, size_t step>
__m512i CodesOf(const uint8_t* block) {
  const __m512i code = CodesAt<LoadBytes, format, step>(block);
  if constexpr (!HasTable(format)) return code;
  // Weights plus 128, which vpdpbusd takes as they are, up to 241: the sign bit turned.
  const __m128i table =
      _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(CodeWeights(format))),
                    _mm_set1_epi8(INT8_MIN));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), code);
}

// All eight steps of a block, in the order of the columns. A fold unrolls the loop, as the step is
// a template argument that decides on shifts.
template <QuantFormat format>
void Codes(const uint8_t* block, __m512i (&code)[8]) {
  [&]<size_t... step>(std::index_sequence<step...>) __attribute__((always_inline)) {
    ((code[step] = CodesOf<format, step>(block)), ...);
  }
  (std::make_index_sequence<8>());
}

__m512 BytesToFloat(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)); }

// The scales and minima of a group's sub-blocks.
template <QuantFormat format>
class Scales {
 public:
  explicit Scales(const uint8_t* group)
      : halves_(reinterpret_cast<const uint16_t*>(group)), subs_(group + HalfScaleBytes(format)) {
    if constexpr (format.scale == ScaleForm::kPower) {
      const auto* const powers = reinterpret_cast<const __m256i*>(halves_);
      const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(powers));
      scale_ = _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
    } else if constexpr (format.scale != ScaleForm::kHalves) {
      scale_ = Half(0);
    }
    if constexpr (format.minimum) minimum_ = LoadHalf(halves_ + kPanelRows);
  }
  __m512 Scale(size_t sub) const {
    if constexpr (format.scale == ScaleForm::kHalves) return Half(sub);
    if constexpr (!HasSubScales(format)) return scale_;
    __m128i bytes = Load(sub);
    if constexpr (kNibbles) bytes = _mm_and_si128(bytes, _mm_set1_epi8(15));
    return _mm512_mul_ps(scale_, BytesToFloat(bytes));
  }
  // Q4_1 and Q5_1 store what is added. The K types store a magnitude that is subtracted, and its
  // sign is turned here, so that both kinds are added by the same fma.
  __m512 Minimum(size_t sub) const {
    if constexpr (!HasSubScales(format)) return minimum_;
    __m128i bytes = Load(kNibbles ? sub : format.group / format.sub + sub);
    if constexpr (kNibbles) {
      // The shift is of 16 bits, so the mask also drops what came from the neighbouring byte.
      bytes = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
    }
    const __m512 magnitude = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    return _mm512_mul_ps(minimum_, _mm512_xor_ps(magnitude, _mm512_set1_ps(-0.0f)));
  }

 private:
  __m128i Load(size_t row) const {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(subs_ + row * kPanelRows));
  }
  static constexpr bool kNibbles = format.scale == ScaleForm::kNibbles;
  __m512 Half(size_t i) const {
    const __m512 scale = LoadHalf(halves_ + i * kPanelRows);
    if constexpr (format.scale_shift == 0) return scale;
    return _mm512_mul_ps(scale, _mm512_set1_ps(ScaleFactor(format)));
  }
  const uint16_t* halves_;
  const uint8_t* subs_;
  __m512 scale_, minimum_;
};

// Panels as the inner loops for many columns want them: one byte a code, and a float scale and
// minimum for each sub-block.
struct Expanded {
  uint8_t* codes;          // [panels][k / 4][16][4]
  float *scales, *minima;  // [panels][k / sub][16]
  // The packed panels that come next, to be fetched from memory while these are multiplied: so much
  // of them with each sub-block.
  const uint8_t* next;
  size_t next_bytes;
};

// Expands one panel. The codes are weight + kBias: 128 makes them unsigned, as vpdpbusd wants them,
// and fits the activations' offset without a shift; 0 leaves them signed, as tdpbssd wants them.
template <QuantFormat format, int kBias>
void Expand(const uint8_t* group, size_t k, uint8_t* codes, float* scales, float* minima) {
  constexpr size_t kSubs = format.group / format.sub;
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(kBias - UnsignedBias(format)));
  for (size_t first = 0; first < k; first += format.group, group += GroupBytes(format)) {
    const Scales<format> s(group);
    for (size_t sub = 0; sub < kSubs; ++sub, scales += kWidth, minima += kWidth) {
      _mm512_store_ps(scales, s.Scale(sub));
      if constexpr (format.minimum) _mm512_store_ps(minima, s.Minimum(sub));
    }
    const uint8_t* block = group + HeaderBytes(format);
    for (size_t b = 0; b < format.group / kQuantBlock; ++b, block += BlockBytes(format)) {
      __m512i code[8];
      Codes<format>(block, code);
      for (const __m512i& c : code) {
        _mm512_store_si512(codes, _mm512_add_epi8(c, bias));
        codes += 64;
      }
    }
  }
}

// Where two panels are expanded to in `scratch` (MatMulScratchBytes).
template <QuantFormat format>
Expanded ExpandedIn(void* scratch, size_t k) {
  Expanded e;
  e.codes = static_cast<uint8_t*>(scratch);
  e.scales = reinterpret_cast<float*>(e.codes + kExpandedPanels * k * kPanelRows);
  e.minima = e.scales + kExpandedPanels * (k / format.sub) * kWidth;
  e.next = nullptr;
  e.next_bytes = 0;
  return e;
}

// Asks for the part of the next panels that belongs to this sub-block, one cache line after
// another, into the second-level cache. So the fetching is spread evenly over the multiplying, and
// the first level keeps what is in use.
inline void FetchNext(const Expanded& e, size_t sub_block) {
  const uint8_t* from = e.next + sub_block * e.next_bytes;
  for (size_t i = 0; i < e.next_bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T1);
  }
}

}  // namespace
}  // namespace lockstep::avx512
