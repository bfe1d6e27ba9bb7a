// The formats of one to three bits a value. Their grids are data that no formula makes, and come
// from the one place that has them; everything else is written from the formats' definitions.
#include "tests/support/dequantize_grids.h"

#include <array>
#include <cmath>

#include "core/kernels/iq_grids.h"
#include "tests/support/dequantize.h"

namespace lockstep {
namespace {

// The bytes of a block:
//   IQ2_XXS d 8 of { index[4] signs_and_scale[4] }    IQ3_XXS d index[64] signs_and_scale[8][4]
//   IQ2_XS  d index_and_signs[32][2] scales[8]        IQ3_S   d index[64] high[8] signs[32]
//   scales[4] IQ2_S   d index[32] signs[32] high[8] scales[8]   IQ1_S   d index[32]
//   high_and_scale[8][2] IQ1_M   index[32] high[16] scales_and_d[4][2]
constexpr double kIq2[] = {8, 25, 43};
constexpr double kIq3[] = {4, 12, 20, 28, 36, 44, 52, 62};

uint32_t Word(const uint8_t* p, size_t bytes) {
  uint32_t word = 0;
  for (size_t i = 0; i < bytes; ++i) word |= uint32_t{p[i]} << (8 * i);
  return word;
}

int Nibble(const uint8_t* p, size_t i) { return p[i / 2] >> (i % 2 * 4) & 15; }

// Of seven stored signs and one that makes their number even, that of value i.
double EvenSign(uint32_t seven, size_t i) {
  uint32_t parity = 0;
  for (size_t bit = 0; bit < 7; ++bit) parity ^= seven >> bit & 1;
  return ((i < 7 ? seven >> i : parity) & 1) != 0 ? -1 : 1;
}
double Sign(uint32_t signs, size_t i) { return (signs >> i & 1) != 0 ? -1 : 1; }

template <size_t n>
double Of8(const std::array<uint16_t, n>& grid, size_t index, size_t i) {
  return kIq2[grid[index] >> (2 * i) & 3];
}

double TernaryPlus(size_t index, size_t i, bool down) {
  return static_cast<double>(kIq1Grid[index] >> (2 * i) & 3) - 1 + (down ? -0.125 : 0.125);
}

}  // namespace

double IQ2_XXS(const uint8_t* p, size_t i) {
  const uint8_t* group = p + 2 + i / 32 * 8;
  const size_t part = i % 32 / 8;
  const uint32_t word = Word(group + 4, 4);
  return HalfToDouble(p) * ((word >> 28) + 0.5) / 4 * Of8(kIq2XxsGrid, group[part], i % 8) *
         EvenSign(word >> (7 * part) & 127, i % 8);
}

double IQ2_XS(const uint8_t* p, size_t i) {
  const uint32_t q = Word(p + 2 + i / 8 * 2, 2);
  return HalfToDouble(p) * (Nibble(p + 66, i / 16) + 0.5) / 4 * Of8(kIq2XsGrid, q & 511, i % 8) *
         EvenSign(q >> 9, i % 8);
}

double IQ2_S(const uint8_t* p, size_t i) {
  const size_t part = i / 8, high = p[66 + part / 4] >> (part % 4 * 2) & 3;
  return HalfToDouble(p) * (Nibble(p + 74, i / 16) + 0.5) / 4 *
         Of8(kIq2SGrid, p[2 + part] + 256 * high, i % 8) * Sign(p[34 + part], i % 8);
}

double IQ3_XXS(const uint8_t* p, size_t i) {
  const uint32_t word = Word(p + 66 + i / 32 * 4, 4);
  const double size = kIq3[kIq3XxsGrid[p[2 + i / 4]] >> (i % 4 * 3) & 7];
  return HalfToDouble(p) * ((word >> 28) + 0.5) / 2 * size *
         EvenSign(word >> (i % 32 / 8 * 7) & 127, i % 8);
}

double IQ3_S(const uint8_t* p, size_t i) {
  const size_t high = p[66 + i / 32] >> (i % 32 / 4) & 1;
  const int digit = kIq3SGrid[p[2 + i / 4] + 256 * high] >> (i % 4 * 3) & 7;
  return HalfToDouble(p) * (1 + 2 * Nibble(p + 106, i / 32)) * (2 * digit + 1) *
         Sign(p[74 + i / 8], i % 8);
}

double IQ1_S(const uint8_t* p, size_t i) {
  const uint32_t word = Word(p + 34 + i / 32 * 2, 2);
  const size_t high = word >> (i % 32 / 8 * 3) & 7;
  return HalfToDouble(p) * (2 * (word >> 12 & 7) + 1) *
         TernaryPlus(p[2 + i / 8] + 256 * high, i % 8, word >> 15 != 0);
}

double IQ1_M(const uint8_t* p, size_t i) {
  uint32_t half = 0;
  for (size_t k = 0; k < 4; ++k) half |= Word(p + 48 + 2 * k, 2) >> 12 << (4 * k);
  const uint8_t d[] = {static_cast<uint8_t>(half), static_cast<uint8_t>(half >> 8)};
  const uint32_t scales = Word(p + 48 + i / 64 * 2, 2);
  const int high = Nibble(p + 32, i / 8);
  return HalfToDouble(d) * (2 * (scales >> (i % 64 / 16 * 3) & 7) + 1) *
         TernaryPlus(p[i / 8] + 256 * static_cast<size_t>(high & 7), i % 8, high >= 8);
}

}  // namespace lockstep
