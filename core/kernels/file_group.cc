// ggml's quantized blocks, taken apart. Each format keeps its scales and the bits of its codes in
// an order of its own, which suits ggml's dot products; here each is read once, while a model
// loads, into one form, so that the kernels see panels alone. Codes are handled by fours, as the
// bytes of a word, as loading a model is bound by it.
#include "core/kernels/file_group.h"

#include <cstring>

#include "core/kernels/half.h"

namespace lockstep {
namespace {

// 16 bytes: column i in the low nibble of byte i, column i + 16 in the high one.
void ReadNibbles(const uint8_t* qs, uint32_t (&code)[8]) {
  for (size_t t = 0; t < 4; ++t) {
    const uint32_t w = Load32(qs + 4 * t);
    code[t] = w & Bytes(15);
    code[t + 4] = (w >> 4) & Bytes(15);
  }
}

// The fifth bits: bit i of the word is column i's.
void AddFifthBits(uint32_t bits, uint32_t (&code)[8]) {
  for (size_t t = 0; t < 8; ++t) code[t] |= SpreadBits((bits >> (4 * t)) & 15) << 4;
}

// The 6-bit scales and minima of Q4_K and Q5_K: 4 of each in the low 6 bits of bytes 0..3 and
// 4..7, the others' low 4 bits in bytes 8..11 and their high bits on top of the first ones.
void ReadSixBits(const uint8_t* p, FileGroup& g) {
  for (size_t j = 0; j < 4; ++j) {
    g.sub_scale[j] = static_cast<int8_t>(p[j] & 63);
    g.sub_minimum[j] = p[j + 4] & 63;
    g.sub_scale[j + 4] = static_cast<int8_t>((p[j + 8] & 15) | (p[j] >> 6 << 4));
    g.sub_minimum[j + 4] = static_cast<uint8_t>((p[j + 8] >> 4) | (p[j + 4] >> 6 << 4));
  }
}

// 128 bytes: blocks 2j and 2j + 1 are the low and the high nibbles of 32 bytes.
void ReadNibblePairs(const uint8_t* qs, FileGroup& g) {
  for (size_t j = 0; j < 4; ++j) {
    for (size_t t = 0; t < 8; ++t) {
      const uint32_t w = Load32(qs + 32 * j + 4 * t);
      g.code[2 * j][t] = w & Bytes(15);
      g.code[2 * j + 1][t] = (w >> 4) & Bytes(15);
    }
  }
}

// { uint8 exponent; qs[16] }: the scale is 2^(exponent - 128), the weights being doubled. As a
// float that is an exponent of one less and no mantissa; exponents 0 and 1, whose floats would be
// denormal, are zero.
void ReadMXFP4(const uint8_t* p, FileGroup& g) {
  g.scale[0] = static_cast<uint16_t>(p[0] > 1 ? (p[0] - 1) << 7 : 0);
  ReadNibbles(p + 1, g.code[0]);
}

// { scale[4]; qs[32] }: the scales are floats of 4 bits of exponent and 3 of mantissa, without a
// sign. Half of one is an f16 without rounding, and the weights are doubled. Of 16 columns the
// first eight are the low nibbles.
void ReadNVFP4(const uint8_t* p, FileGroup& g) {
  for (size_t sub = 0; sub < 4; ++sub) {
    const uint32_t exponent = p[sub] >> 3 & 15, mantissa = p[sub] & 7;
    if (exponent == 0) {
      g.scale[sub] = FloatToHalf(static_cast<float>(mantissa) / 1024);
    } else {
      g.scale[sub] = static_cast<uint16_t>((exponent + 7) << 10 | mantissa << 7);
    }
    if (p[sub] == 127) g.scale[sub] = 0;
    const uint8_t* qs = p + 4 + 8 * sub;
    for (size_t t = 0; t < 2; ++t) {
      const uint32_t w = Load32(qs + 4 * t);
      g.code[sub / 2][sub % 2 * 4 + t] = w & Bytes(15);
      g.code[sub / 2][sub % 2 * 4 + t + 2] = (w >> 4) & Bytes(15);
    }
  }
}

// { f16 d; bits of 128 columns }: -d or d, and so -1 or 1 from codes 0 and 2.
void ReadQ1_0(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t t = 0; t < 32; ++t) {
    g.code[t / 8][t % 8] = SpreadBits((p[2 + t / 2] >> (t % 2 * 4)) & 15u) << 1;
  }
}

// { f16 d; 2 bits of each of 64 columns }
void ReadQ2_0(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t t = 0; t < 16; ++t) {
    uint32_t word = 0;
    for (size_t i = 0; i < 4; ++i) word |= ((p[2 + t] >> (2 * i)) & 3u) << (8 * i);
    g.code[t / 8][t % 8] = word;
  }
}

// { qs[64], f16 d }, as Q2_K's codes.
void ReadTQ2_0(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p + 64);
  for (size_t b = 0; b < 8; ++b) {
    for (size_t t = 0; t < 8; ++t) {
      g.code[b][t] = (Load32(p + b / 4 * 32 + 4 * t) >> (2 * (b % 4))) & Bytes(3);
    }
  }
}

// The digit of each byte, as a fraction to the base 3, that multiplying by `power` brings to the
// front.
uint32_t TernaryDigits(uint32_t bytes, uint32_t power) {
  constexpr uint32_t kEven = 0x00ff00ff;  // in twice the width, so that products fit
  const auto digits = [power](uint32_t two) { return (((two * power) & kEven) * 3 >> 8) & kEven; };
  return digits(bytes & kEven) | digits(bytes >> 8 & kEven) << 8;
}

// { qs[48], qh[4], f16 d }: digit n of bytes 0 to 31, then of 32 to 47, then of the last four.
void ReadTQ1_0(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p + 52);
  size_t word = 0;
  const auto digits = [&](size_t first, size_t bytes, size_t count) {
    for (uint32_t n = 0, power = 1; n < count; ++n, power *= 3) {
      for (size_t i = 0; i < bytes; i += 4, ++word) {
        g.code[word / 8][word % 8] = TernaryDigits(Load32(p + first + i), power);
      }
    }
  };
  digits(0, 32, 5);
  digits(32, 16, 5);
  digits(48, 4, 4);
}

void ReadQ8_0(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  // From signed to biased by 128: the top bit of each byte is turned.
  for (size_t t = 0; t < 8; ++t) g.code[0][t] = Load32(p + 2 + 4 * t) ^ Bytes(0x80);
}

// { f16 scale; uint8 scales[16] ... } of Q2_K: { scales[16], qs[64], f16 d, f16 dmin }
void ReadQ2_K(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p + 80);
  g.minimum = Load16(p + 82);
  for (size_t i = 0; i < 16; ++i) {
    g.sub_scale[i] = static_cast<int8_t>(p[i] & 15);
    g.sub_minimum[i] = p[i] >> 4;
  }
  for (size_t b = 0; b < 8; ++b) {
    for (size_t t = 0; t < 8; ++t) {
      g.code[b][t] = (Load32(p + 16 + b / 4 * 32 + 4 * t) >> (2 * (b % 4))) & Bytes(3);
    }
  }
}

// { hmask[32], qs[64], scales[12], f16 d }; a clear bit of hmask takes 4 off.
void ReadQ3_K(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p + 108);
  const uint8_t* s = p + 96;  // 16 low nibbles in 8 bytes, then 16 pairs of high bits in 4
  for (size_t i = 0; i < 16; ++i) {
    const int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4;
    const int high = (s[8 + i % 4] >> (2 * (i / 4))) & 3;
    g.sub_scale[i] = static_cast<int8_t>((low | high << 4) - 32);
  }
  for (size_t b = 0; b < 8; ++b) {
    for (size_t t = 0; t < 8; ++t) {
      const uint32_t low = (Load32(p + 32 + b / 4 * 32 + 4 * t) >> (2 * (b % 4))) & Bytes(3);
      const uint32_t high = (Load32(p + 4 * t) >> b) & Bytes(1);
      g.code[b][t] = low | high << 2;
    }
  }
}

// { f16 d, f16 dmin, scales[12], qs[128] }
void ReadQ4_K(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  g.minimum = Load16(p + 2);
  ReadSixBits(p + 4, g);
  ReadNibblePairs(p + 16, g);
}

// { f16 d, f16 dmin, scales[12], qh[32], qs[128] }; bit b of qh[i] is the fifth of column 32b + i.
void ReadQ5_K(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  g.minimum = Load16(p + 2);
  ReadSixBits(p + 4, g);
  ReadNibblePairs(p + 48, g);
  for (size_t b = 0; b < 8; ++b) {
    for (size_t t = 0; t < 8; ++t) {
      g.code[b][t] |= ((Load32(p + 16 + 4 * t) >> b) & Bytes(1)) << 4;
    }
  }
}

// { ql[128], qh[64], int8 scales[16], f16 d }: 128 columns from 64 bytes of ql and 32 of qh.
void ReadQ6_K(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p + 208);
  std::memcpy(g.sub_scale, p + 192, 16);
  for (size_t b = 0; b < 8; ++b) {
    const size_t half = b / 4, part = b % 4;
    const uint8_t *ql = p + 64 * half + 32 * (part % 2), *qh = p + 128 + 32 * half;
    for (size_t t = 0; t < 8; ++t) {
      const uint32_t low = (Load32(ql + 4 * t) >> (part < 2 ? 0 : 4)) & Bytes(15);
      const uint32_t high = (Load32(qh + 4 * t) >> (2 * part)) & Bytes(3);
      g.code[b][t] = low | high << 4;
    }
  }
}

// { f16 d, uint16 scales_h, scales_l[4], qs[128] }
void ReadIQ4_XS(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  const uint16_t high = Load16(p + 2);
  for (size_t b = 0; b < 8; ++b) {
    const int low = (p[4 + b / 2] >> (4 * (b % 2))) & 15;
    g.sub_scale[b] = static_cast<int8_t>((low | ((high >> (2 * b)) & 3) << 4) - 32);
    ReadNibbles(p + 8 + 16 * b, g.code[b]);
  }
}

}  // namespace

void ReadFileGroup(WeightType type, const uint8_t* p, FileGroup& g) {
  switch (type) {
    case WeightType::kQ8_0:
      return ReadQ8_0(p, g);
    case WeightType::kQ4_0:
    case WeightType::kIQ4_NL:
      g.scale[0] = Load16(p);
      return ReadNibbles(p + 2, g.code[0]);
    case WeightType::kQ4_1:
      g.scale[0] = Load16(p);
      g.minimum = Load16(p + 2);
      return ReadNibbles(p + 4, g.code[0]);
    case WeightType::kQ5_0:
      g.scale[0] = Load16(p);
      ReadNibbles(p + 6, g.code[0]);
      return AddFifthBits(Load32(p + 2), g.code[0]);
    case WeightType::kQ5_1:
      g.scale[0] = Load16(p);
      g.minimum = Load16(p + 2);
      ReadNibbles(p + 8, g.code[0]);
      return AddFifthBits(Load32(p + 4), g.code[0]);
    case WeightType::kQ2_K:
      return ReadQ2_K(p, g);
    case WeightType::kQ3_K:
      return ReadQ3_K(p, g);
    case WeightType::kQ4_K:
      return ReadQ4_K(p, g);
    case WeightType::kQ5_K:
      return ReadQ5_K(p, g);
    case WeightType::kQ6_K:
      return ReadQ6_K(p, g);
    case WeightType::kIQ4_XS:
      return ReadIQ4_XS(p, g);
    case WeightType::kMXFP4:
      return ReadMXFP4(p, g);
    case WeightType::kNVFP4:
      return ReadNVFP4(p, g);
    case WeightType::kQ1_0:
      return ReadQ1_0(p, g);
    case WeightType::kQ2_0:
      return ReadQ2_0(p, g);
    case WeightType::kTQ1_0:
      return ReadTQ1_0(p, g);
    case WeightType::kTQ2_0:
      return ReadTQ2_0(p, g);
    case WeightType::kIQ1_S:
    case WeightType::kIQ1_M:
    case WeightType::kIQ2_XXS:
    case WeightType::kIQ2_XS:
    case WeightType::kIQ2_S:
    case WeightType::kIQ3_XXS:
    case WeightType::kIQ3_S:
      return ReadGridGroup(type, p, g);
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16:
      return;
  }
}

}  // namespace lockstep
