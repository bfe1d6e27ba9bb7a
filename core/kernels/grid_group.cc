// ggml's formats of one to three bits, taken apart: their values are magnitudes of a grid, 8 or 4
// of them named by one index, with signs and scales beside them. Spread out, every value is one of
// 16, which is what the panels hold; so they take four bits here.
#include <bit>

#include "core/kernels/file_group.h"
#include "core/kernels/iq_grids.h"

namespace lockstep {
namespace {

constexpr uint32_t kMinus = 8;  // of a code: the table's second half has the negative weights

// Four digits of 2 or of 3 bits to the bytes of a word, by halves.
template <size_t bits>
constexpr uint32_t SpreadDigits(uint32_t four) {
  constexpr uint32_t kPair = (1u << (2 * bits)) - 1, kDigit = (1u << bits) - 1;
  const uint32_t pairs = (four | four << (16 - 2 * bits)) & (kPair | kPair << 16);
  return (pairs | pairs << (8 - bits)) & Bytes(kDigit);
}

// Values from `column` on by the digits of a grid's entry, and their signs, the lowest bit for the
// first.
template <size_t values, size_t bits>
void PutDigits(FileGroup& g, size_t column, uint32_t entry, uint32_t signs) {
  for (size_t i = 0; i < values; i += 4) {
    const uint32_t digits = (entry >> (bits * i)) & ((1u << (4 * bits)) - 1);
    g.code[column / 32][(column + i) % 32 / 4] =
        SpreadDigits<bits>(digits) | SpreadBits((signs >> i) & 15) * kMinus;
  }
}
constexpr auto kPutEight = PutDigits<8, 2>;
constexpr auto kPutFour = PutDigits<4, 3>;

// Seven signs, and an eighth that makes the number of minus signs even.
uint32_t EvenSigns(uint32_t seven) {
  return seven | (static_cast<uint32_t>(std::popcount(seven)) & 1) << 7;
}

int8_t Odd(uint32_t k) { return static_cast<int8_t>(2 * k + 1); }

// { f16 d; 8 groups of 32: { 4 indices; uint32: 4 times 7 signs, and 4 bits of a scale } }
void ReadIQ2_XXS(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t group = 0; group < 8; ++group) {
    const uint8_t* q = p + 2 + 8 * group;
    const uint32_t word = Load32(q + 4);
    g.sub_scale[group] = Odd(word >> 28);
    for (size_t l = 0; l < 4; ++l) {
      kPutEight(g, 32 * group + 8 * l, kIq2XxsGrid[q[l]], EvenSigns((word >> (7 * l)) & 127));
    }
  }
}

// { f16 d; uint16 qs[32]: 9 bits of an index, 7 signs; scales[8] }
void ReadIQ2_XS(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t part = 0; part < 32; ++part) {
    const uint32_t q = Load16(p + 2 + 2 * part);
    kPutEight(g, 8 * part, kIq2XsGrid[q & 511], EvenSigns(q >> 9));
  }
  for (size_t i = 0; i < 16; ++i) g.sub_scale[i] = Odd((p[66 + i / 2] >> (4 * (i % 2))) & 15);
}

// { f16 d; qs[32]; signs[32]; qh[8]; scales[8] }
void ReadIQ2_S(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t part = 0; part < 32; ++part) {
    const uint32_t high = (p[66 + part / 4] >> (2 * (part % 4))) & 3;
    kPutEight(g, 8 * part, kIq2SGrid[p[2 + part] | high << 8], p[34 + part]);
  }
  for (size_t i = 0; i < 16; ++i) g.sub_scale[i] = Odd((p[74 + i / 2] >> (4 * (i % 2))) & 15);
}

// { f16 d; qs[64]; 8 times uint32: 4 times 7 signs, and 4 bits of a scale }
void ReadIQ3_XXS(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t group = 0; group < 8; ++group) {
    const uint32_t word = Load32(p + 66 + 4 * group);
    g.sub_scale[group] = Odd(word >> 28);
    for (size_t l = 0; l < 8; ++l) {
      const uint32_t signs = EvenSigns((word >> (7 * (l / 2))) & 127) >> (4 * (l % 2));
      kPutFour(g, 32 * group + 4 * l, kIq3XxsGrid[p[2 + 8 * group + l]], signs);
    }
  }
}

// { f16 d; qs[64]; qh[8]; signs[32]; scales[4] }
void ReadIQ3_S(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t high = (p[66 + i / 8] >> (i % 8)) & 1;
    const uint32_t signs = p[74 + i / 2] >> (4 * (i % 2));
    kPutFour(g, 4 * i, kIq3SGrid[p[2 + i] | high << 8], signs);
  }
  for (size_t i = 0; i < 8; ++i) g.sub_scale[i] = Odd((p[106 + i / 2] >> (4 * (i % 2))) & 15);
}

// Eight of -1, 0 and 1, all moved by an eighth up or down.
void PutTernary(FileGroup& g, size_t column, uint32_t entry, bool down) {
  kPutEight(g, column, entry, down ? 255 : 0);
}

// { f16 d; qs[32]; uint16 qh[8]: 4 times 3 bits of an index, 3 of a scale, a sign }
void ReadIQ1_S(const uint8_t* p, FileGroup& g) {
  g.scale[0] = Load16(p);
  for (size_t group = 0; group < 8; ++group) {
    const uint32_t high = Load16(p + 34 + 2 * group);
    g.sub_scale[group] = Odd((high >> 12) & 7);
    for (size_t l = 0; l < 4; ++l) {
      const uint32_t index = p[2 + 4 * group + l] | ((high >> (3 * l)) & 7) << 8;
      PutTernary(g, 32 * group + 8 * l, kIq1Grid[index], (high & 0x8000) != 0);
    }
  }
}

// { qs[32]; qh[16]: twice 3 bits of an index and a sign; uint16 scales[4]: 4 times 3 bits, and 4
// bits of the f16 d, the lowest first }
void ReadIQ1_M(const uint8_t* p, FileGroup& g) {
  uint32_t d = 0;
  for (size_t i = 0; i < 4; ++i) {
    const uint32_t word = Load16(p + 48 + 2 * i);
    d |= (word >> 12) << (4 * i);
    for (size_t k = 0; k < 4; ++k) g.sub_scale[4 * i + k] = Odd((word >> (3 * k)) & 7);
  }
  g.scale[0] = static_cast<uint16_t>(d);
  for (size_t part = 0; part < 32; ++part) {
    const uint32_t high = p[32 + part / 2] >> (4 * (part % 2));
    PutTernary(g, 8 * part, kIq1Grid[p[part] | (high & 7) << 8], (high & 8) != 0);
  }
}

}  // namespace

void ReadGridGroup(WeightType type, const uint8_t* p, FileGroup& g) {
  switch (type) {
    case WeightType::kIQ2_XXS:
      return ReadIQ2_XXS(p, g);
    case WeightType::kIQ2_XS:
      return ReadIQ2_XS(p, g);
    case WeightType::kIQ2_S:
      return ReadIQ2_S(p, g);
    case WeightType::kIQ3_XXS:
      return ReadIQ3_XXS(p, g);
    case WeightType::kIQ3_S:
      return ReadIQ3_S(p, g);
    case WeightType::kIQ1_S:
      return ReadIQ1_S(p, g);
    case WeightType::kIQ1_M:
      return ReadIQ1_M(p, g);
    default:
      return;
  }
}

}  // namespace lockstep
