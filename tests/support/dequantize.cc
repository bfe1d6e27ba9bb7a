#include "tests/support/dequantize.h"

#include <bit>
#include <cmath>

#include "tests/support/dequantize_grids.h"

namespace lockstep {
namespace {

// Below, p is a block and i the index of a value in it. The bytes of a block, in order; d, a scale,
// and m, of the mins, are halves:
//
//   Q4_0  d qs[16]              IQ4_NL d qs[16]        Q2_K scales[16] qs[64] d m
//   Q4_1  d m qs[16]            Q8_0   d qs[32]        Q3_K high[32] qs[64] scales[12] d
//   Q5_0  d high[4] qs[16]                             Q4_K d m scales[12] qs[128]
//   Q5_1  d m high[4] qs[16]                           Q5_K d m scales[12] high[32] qs[128]
//   IQ4_XS d scale_high[2] scale_low[4] qs[128]        Q6_K qs[128] high[64] scales[16] d
//   MXFP4  exponent qs[16]     Q1_0 d qs[16]     Q2_0 d qs[16]     NVFP4 scale[4] qs[32]
//   TQ1_0  qs[48] last[4] d    TQ2_0 qs[64] d    those with grids: dequantize_grids.cc
using Format = double (*)(const uint8_t* p, size_t i);

constexpr int kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};

int Bits(unsigned word, size_t shift, unsigned mask) {
  return static_cast<int>(word >> shift & mask);
}

float FloatOfBits(const uint8_t* p, size_t bytes) {  // the upper bytes of a float
  uint32_t bits = 0;
  for (size_t i = 0; i < bytes; ++i) bits |= static_cast<uint32_t>(p[i]) << 8 * (4 - bytes + i);
  return std::bit_cast<float>(bits);
}

// The 4-bit code of value i < 32 of 16 bytes: the low nibbles come first.
int Nibble32(const uint8_t* qs, size_t i) { return Bits(qs[i % 16], i / 16 * 4, 15); }

// Its fifth bit, from a little-endian 32-bit word.
int Fifth32(const uint8_t* high, size_t i) { return Bits(high[i / 8], i % 8, 1) << 4; }

double F32(const uint8_t* p, size_t) { return FloatOfBits(p, 4); }
double BF16(const uint8_t* p, size_t) { return FloatOfBits(p, 2); }
double F16(const uint8_t* p, size_t) { return HalfToDouble(p); }

double Q4_0(const uint8_t* p, size_t i) { return HalfToDouble(p) * (Nibble32(p + 2, i) - 8); }
double Q4_1(const uint8_t* p, size_t i) {
  return HalfToDouble(p) * Nibble32(p + 4, i) + HalfToDouble(p + 2);
}
double Q5_0(const uint8_t* p, size_t i) {
  return HalfToDouble(p) * ((Nibble32(p + 6, i) | Fifth32(p + 2, i)) - 16);
}
double Q5_1(const uint8_t* p, size_t i) {
  return HalfToDouble(p) * (Nibble32(p + 8, i) | Fifth32(p + 4, i)) + HalfToDouble(p + 2);
}
double Q8_0(const uint8_t* p, size_t i) { return HalfToDouble(p) * static_cast<int8_t>(p[2 + i]); }
double IQ4_NL(const uint8_t* p, size_t i) {
  return HalfToDouble(p) * kIq4Values[Nibble32(p + 2, i)];
}

// The 2-bit code of value i < 256 of 64 bytes: 32 bytes hold 128 values in four layers of 32.
int Pair256(const uint8_t* qs, size_t i) {
  return Bits(qs[i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3);
}

// The 4-bit code of value i < 256 of 128 bytes: 32 bytes hold 64 values in two layers of 32.
int Nibble256(const uint8_t* qs, size_t i) {
  return Bits(qs[i / 64 * 32 + i % 32], i % 64 / 32 * 4, 15);
}

// The extra bit of value i < 256 of 32 bytes: eight layers of 32.
int Bit256(const uint8_t* high, size_t i) { return Bits(high[i % 32], i / 32, 1); }

double Q2_K(const uint8_t* p, size_t i) {
  const int scale = Bits(p[i / 16], 0, 15), min = Bits(p[i / 16], 4, 15);
  return HalfToDouble(p + 80) * scale * Pair256(p + 16, i) - HalfToDouble(p + 82) * min;
}

double Q3_K(const uint8_t* p, size_t i) {
  const uint8_t* scales = p + 96;  // 16 of 6 bits: 8 bytes of low nibbles, 4 bytes of high pairs
  const size_t j = i / 16;
  const int scale = Bits(scales[j % 8], j / 8 * 4, 15) | Bits(scales[8 + j % 4], j / 4 * 2, 3) << 4;
  const int code = (Pair256(p + 32, i) | Bit256(p, i) << 2) - 4;
  return HalfToDouble(p + 108) * (scale - 32) * code;
}

struct ScaleMin {
  int scale, min;
};

// Eight 6-bit scales and mins in 12 bytes. The first four have bytes of their own, 0-3 and 4-7; the
// low nibbles of the others are bytes 8-11, their high pairs the tops of bytes 0-3 and 4-7.
ScaleMin ScaleMinOf(const uint8_t* s, size_t j) {
  if (j < 4) return {Bits(s[j], 0, 63), Bits(s[j + 4], 0, 63)};
  return {Bits(s[j + 4], 0, 15) | Bits(s[j - 4], 6, 3) << 4,
          Bits(s[j + 4], 4, 15) | Bits(s[j], 6, 3) << 4};
}

double Q4_K(const uint8_t* p, size_t i) {
  const ScaleMin sm = ScaleMinOf(p + 4, i / 32);
  return HalfToDouble(p) * sm.scale * Nibble256(p + 16, i) - HalfToDouble(p + 2) * sm.min;
}

double Q5_K(const uint8_t* p, size_t i) {
  const ScaleMin sm = ScaleMinOf(p + 4, i / 32);
  const int code = Nibble256(p + 48, i) | Bit256(p + 16, i) << 4;
  return HalfToDouble(p) * sm.scale * code - HalfToDouble(p + 2) * sm.min;
}

// 64 bytes hold the low nibbles of 128 values: of the first 64, then in the high halves of the
// rest.
double Q6_K(const uint8_t* p, size_t i) {
  const int low = Bits(p[i / 128 * 64 + i % 64], i % 128 / 64 * 4, 15);
  const int code = (low | Pair256(p + 128, i) << 4) - 32;
  return HalfToDouble(p + 208) * static_cast<int8_t>(p[192 + i / 16]) * code;
}

double IQ4_XS(const uint8_t* p, size_t i) {
  const size_t j = i / 32;
  const int scale = Bits(p[4 + j / 2], j % 2 * 4, 15) | Bits(p[2 + j / 4], j % 4 * 2, 3) << 4;
  return HalfToDouble(p) * (scale - 32) * kIq4Values[Nibble32(p + 8 + 16 * j, i % 32)];
}

// A sign, two bits of exponent, one of mantissa: 0, 0.5, 1, 1.5, 2, 3, 4 and 6.
double E2M1(int code) {
  const int exponent = code >> 1 & 3, mantissa = code & 1;
  const double size = exponent == 0 ? mantissa / 2.0 : std::ldexp(2 + mantissa, exponent - 2);
  return code >= 8 ? -size : size;
}

// An exponent of 0 or 1 counts as zero, as its least values are no longer normal floats.
double MXFP4(const uint8_t* p, size_t i) {
  return p[0] > 1 ? std::ldexp(E2M1(Nibble32(p + 1, i)), p[0] - 127) : 0;
}

// Scales of 16 values: 4 bits of exponent and 3 of mantissa, without a sign; 127 is no number.
double NVFP4(const uint8_t* p, size_t i) {
  const int byte = p[i / 16], exponent = byte >> 3 & 15, mantissa = byte & 7;
  const double scale =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  const int code = Bits(p[4 + i / 16 * 8 + i % 8], i % 16 / 8 * 4, 15);
  return byte == 127 ? 0 : E2M1(code) * scale;
}

double Q1_0(const uint8_t* p, size_t i) {
  return HalfToDouble(p) * (Bits(p[2 + i / 8], i % 8, 1) != 0 ? 1 : -1);
}
double Q2_0(const uint8_t* p, size_t i) {
  return HalfToDouble(p) * (Bits(p[2 + i / 4], i % 4 * 2, 3) - 1);
}
double TQ2_0(const uint8_t* p, size_t i) { return HalfToDouble(p + 64) * (Pair256(p, i) - 1); }

// A byte is a fraction, b / 256: each multiplication by 3 brings its next digit before the point.
double TQ1_0(const uint8_t* p, size_t i) {
  const size_t byte = i < 160 ? i % 32 : i < 240 ? 32 + (i - 160) % 16 : 48 + (i - 240) % 4;
  const size_t digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
  int rest = p[byte], whole = 0;
  for (size_t n = 0; n <= digit; ++n) {
    whole = rest * 3 / 256;
    rest = rest * 3 % 256;
  }
  return HalfToDouble(p + 52) * (whole - 1);
}

struct Layout {
  Format value = nullptr;
  size_t elements = 1, bytes = 0;
  Halves halves = {};
};

Layout LayoutOf(uint32_t type) {
  switch (type) {
    case 0:
      return {F32, 1, 4};
    case 1:
      return {F16, 1, 2};
    case 2:
      return {Q4_0, 32, 18};
    case 3:
      return {Q4_1, 32, 20, {0, 2, -7.5}};
    case 6:
      return {Q5_0, 32, 22};
    case 7:
      return {Q5_1, 32, 24, {0, 2, -15.5}};
    case 8:
      return {Q8_0, 32, 34};
    case 10:
      return {Q2_K, 256, 84, {80, 82, 1.5}};
    case 11:
      return {Q3_K, 256, 110, {108}};
    case 12:
      return {Q4_K, 256, 144, {0, 2, 7.5}};
    case 13:
      return {Q5_K, 256, 176, {0, 2, 15.5}};
    case 14:
      return {Q6_K, 256, 210, {208}};
    case 20:
      return {IQ4_NL, 32, 18};
    case 23:
      return {IQ4_XS, 256, 136};
    case 30:
      return {BF16, 1, 2};
    case 39:
      return {MXFP4, 32, 17, {.form = Halves::Form::kPower}};
    case 16:
      return {IQ2_XXS, 256, 66};
    case 17:
      return {IQ2_XS, 256, 74};
    case 18:
      return {IQ3_XXS, 256, 98};
    case 19:
      return {IQ1_S, 256, 50};
    case 21:
      return {IQ3_S, 256, 110};
    case 22:
      return {IQ2_S, 256, 82};
    case 29:
      return {IQ1_M, 256, 56, {.scale = 48, .form = Halves::Form::kNibbles}};
    case 34:
      return {TQ1_0, 256, 54, {52}};
    case 35:
      return {TQ2_0, 256, 66, {64}};
    case 40:
      return {NVFP4, 64, 36, {.form = Halves::Form::kSmallFloats}};
    case 41:
      return {Q1_0, 128, 18};
    case 42:
      return {Q2_0, 64, 18};
    default:
      return {};
  }
}

}  // namespace

double HalfToDouble(const uint8_t* p) {
  const unsigned bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = std::ldexp(fraction, -24);
  if (exponent != 0) value = std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
  if (exponent == 31) value = fraction == 0 ? INFINITY : NAN;
  return (bits & 0x8000) != 0 ? -value : value;
}

Halves HalvesOf(uint32_t type) { return LayoutOf(type).halves; }

std::vector<double> Dequantize(uint32_t type, std::span<const uint8_t> bytes, size_t values) {
  std::vector<double> out(values, NAN);
  const Layout layout = LayoutOf(type);
  if (layout.value == nullptr) return out;
  for (size_t i = 0; i < values; ++i) {
    const uint8_t* block = bytes.data() + i / layout.elements * layout.bytes;
    out[i] = layout.value(block, i % layout.elements);
  }
  return out;
}

}  // namespace lockstep
