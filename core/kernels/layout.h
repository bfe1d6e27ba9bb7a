// Weights are repacked into panels of 16 rows, so that a vector lane holds one output and every
// sum runs in one order whatever the vector width. Rows beyond the last are zero. Declarations
// only: the ISA files include this, and an inline function that they compile with their own flags
// might be the copy that the linker keeps for everyone; the constexpr ones are static for that
// reason.
//
// A panel of a float type, K columns:
//   F32, F16  [K][16]              the element of 16 rows side by side
//   BF16      [ceil(K / 2)][16][2] pairs, zero beyond K
// A panel of a quantized type: groups of 32 or 256 columns, each
//   f16 scale[16]; f16 minimum[16] if there are minima;
//   in groups of 256 also int8 scale[256 / sub][16] and uint8 minimum[256 / sub][16], which the f16
//   ones multiply; for Q2_K nibbles of one uint8 [16][16], scale low and minimum high;
//   then for each 32 columns a plane of the codes' low bits and one of their high bits, if any:
//     8 bits  [8][16][4]  byte [t][row][i] is the code of column 4t + i
//     4 bits  [4][16][4]  byte [j][row][i] has columns 8j + i (low nibble) and 8j + 4 + i
//     2 bits  [2][16][4]  byte [v][row][i] has columns 16v + 4t + i at bit 2t
//     1 bit   [16][4]     byte [row][i] has columns 4t + i at bit t
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

inline constexpr size_t kPanelRows = 16;
inline constexpr size_t kQuantBlock = 32;

enum class WeightType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS
};
inline constexpr size_t kWeightTypes = 15;
inline constexpr size_t kFloatTypes = 3;  // the first ones

// value = scale * weight + minimum, where weight = code - bias, or kIq4Values[code].
struct QuantFormat {
  size_t low_bits, high_bits;  // of a code, in the two planes
  int bias;                    // 0 or a power of two up to 128
  bool table;
  size_t sub;    // columns that share a scale: 16 or 32
  size_t group;  // columns of a group: 32 or 256
  bool minimum;
  bool nibble_scales;
};

inline constexpr QuantFormat kQuantFormats[kWeightTypes] = {
    {},                                        // F32
    {},                                        // F16
    {},                                        // BF16
    {8, 0, 128, false, 32, 32, false, false},  // Q8_0
    {4, 0, 8, false, 32, 32, false, false},    // Q4_0
    {4, 0, 0, false, 32, 32, true, false},     // Q4_1
    {4, 1, 16, false, 32, 32, false, false},   // Q5_0
    {4, 1, 0, false, 32, 32, true, false},     // Q5_1
    {2, 0, 0, false, 16, 256, true, true},     // Q2_K
    {2, 1, 4, false, 16, 256, false, false},   // Q3_K
    {4, 0, 0, false, 32, 256, true, false},    // Q4_K
    {4, 1, 0, false, 32, 256, true, false},    // Q5_K
    {4, 2, 32, false, 16, 256, false, false},  // Q6_K
    {4, 0, 0, true, 32, 32, false, false},     // IQ4_NL
    {4, 0, 0, true, 32, 256, false, false},    // IQ4_XS
};

// The non-linear weights of IQ4_NL and IQ4_XS, as ggml defines them.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// Bytes of a group's parts, 16 rows each.
static constexpr size_t LowPlaneBytes(QuantFormat f) { return 64 * f.low_bits; }
static constexpr size_t BlockBytes(QuantFormat f) { return 64 * (f.low_bits + f.high_bits); }
static constexpr size_t SubScaleBytes(QuantFormat f) {
  return f.group == 32 ? 0 : kPanelRows * f.group / f.sub;
}
static constexpr size_t HeaderBytes(QuantFormat f) {
  const size_t kinds = f.minimum ? 2 : 1;
  return kinds * 2 * kPanelRows + (f.nibble_scales ? 1 : kinds) * SubScaleBytes(f);
}
static constexpr size_t GroupBytes(QuantFormat f) {
  return HeaderBytes(f) + f.group / kQuantBlock * BlockBytes(f);
}

const char* Name(WeightType type);
// Columns of a matrix must be a multiple of this: 1, 32 or 256.
size_t FileBlock(WeightType type);
// Bytes of one row of `cols` values as a GGUF file stores it. REQUIRES: cols % FileBlock == 0.
size_t FileRowBytes(WeightType type, size_t cols);
size_t PanelBytes(WeightType type, size_t cols);

}  // namespace lockstep
