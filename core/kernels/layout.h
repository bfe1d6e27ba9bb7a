// Weights are repacked into panels of 16 rows, so that a vector lane holds one output and every
// sum runs in one order whatever the vector width. Rows beyond the last are zero. Declarations
// only: the ISA files include this, and an inline function that they compile with their own flags
// might be the copy that the linker keeps for everyone; the constexpr ones are static for that
// reason.
//
// A panel of a float type, K columns:
//   F32, F16  [K][16]              the element of 16 rows side by side
//   BF16      [ceil(K / 2)][16][2] pairs, zero beyond K
// A panel of a quantized type: groups of 32 to 256 columns, each
//   scale[16] of two bytes; f16 minimum[16] if there are minima; or, if each sub-block has a scale
//   of two bytes, f16 scale[group / sub][16];
//   where sub-blocks have small scales, int8 scale[group / sub][16] and uint8 minimum[group /
//   sub][16], which the f16 ones multiply; for Q2_K nibbles of one uint8 [16][16], scale low and
//   minimum high;
//   then for each 32 columns a plane of the codes' low bits and one of their high bits, if any:
//     8 bits  [8][16][4]  byte [t][row][i] is the code of column 4t + i
//     4 bits  [4][16][4]  byte [j][row][i] has columns 8j + i (low nibble) and 8j + 4 + i
//     2 bits  [2][16][4]  byte [v][row][i] has columns 16v + 4t + i at bit 2t
//     1 bit   [16][4]     byte [row][i] has columns 4t + i at bit t
//
// An example, 4 bits, vector j of a plane, 64 bytes; four bytes are what one lane multiplies by:
//   row 0                           row 1                           ... row 15
//   [c4|c0] [c5|c1] [c6|c2] [c7|c3] [c4|c0] [c5|c1] [c6|c2] [c7|c3] ...
// The low nibbles of all are columns 8j to 8j + 3 of the 16 rows, the high nibbles the next four,
// so that one load, a mask and a shift give two registers of codes, in the order of the rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace lockstep {

inline constexpr size_t kPanelRows = 16;
inline constexpr size_t kQuantBlock = 32;

// The types of matrices that the kernels multiply by.
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
  kIQ4_XS,
  kMXFP4,
  kNVFP4,
  kQ1_0,
  kQ2_0,
  kTQ1_0,
  kTQ2_0,
  kIQ1_S,
  kIQ1_M,
  kIQ2_XXS,
  kIQ2_XS,
  kIQ2_S,
  kIQ3_XXS,
  kIQ3_S
};

// What the scale of a sub-block is.
enum class ScaleForm : uint8_t {
  kGroup,    // the group's, an f16
  kPower,    // the group's, a power of two as a bfloat16, which has the exponents of a float
  kBytes,    // the group's f16 times an int8
  kNibbles,  // the same with 4 bits, which share a byte with those of the minimum
  kHalves,   // an f16 of its own
};

// Weights that codes of 4 bits are indices of.
enum class CodeTable : uint8_t { kNone, kIq4, kE2M1, kIq1, kIq2, kIq3, kOdd };
inline constexpr int8_t kCodeTables[][16] = {
    {},
    // IQ4_NL's and IQ4_XS's non-linear weights, as ggml defines them.
    {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113},
    // Floats of a sign, 2 bits of exponent and 1 of mantissa (OCP MX), doubled.
    {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12},
    // Magnitudes of grids (iq_grids.h), then their negatives. IQ1's are -1, 0 and 1, moved up or
    // down by an eighth, in eighths.
    {-7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7},
    {8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43},
    {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62},
    {1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15},
};

// How a quantized type's values are made up, and so how the kernels unpack them; they are compiled
// once for each. value = scale * weight + minimum, where weight = code - bias, or the table's.
struct QuantFormat {
  size_t low_bits = 0, high_bits = 0;  // of a code, in the two planes
  int bias = 0;                        // 0 or a power of two up to 128
  CodeTable table = CodeTable::kNone;
  size_t sub = 0;    // columns that share a scale: 16 or 32
  size_t group = 0;  // columns of a group: 32, 64, 128 or 256; 0: not quantized
  ScaleForm scale = ScaleForm::kGroup;
  int scale_shift = 0;   // scales are the stored ones divided by 2^scale_shift
  bool minimum = false;  // not with kPower and kHalves
};
static constexpr const int8_t* CodeWeights(QuantFormat f) {
  return kCodeTables[static_cast<size_t>(f.table)];
}
static constexpr bool HasTable(QuantFormat f) { return f.table != CodeTable::kNone; }

// How a GGUF file stores a type.
struct FileFormat {
  uint32_t id;         // of the type
  size_t columns = 1;  // that share a block
  size_t bytes;        // of a block
};

// All that is particular to a weight type.
struct WeightFormat {
  WeightType type;
  const char* name;  // as GGUF tools spell it
  FileFormat file;
  QuantFormat quant = {};
};

// ggml's formats whose values are magnitudes of a grid: spread out, each is one of a table's 16.
static constexpr WeightFormat GridFormat(WeightType type, const char* name, FileFormat file,
                                         CodeTable table, size_t sub, int scale_shift) {
  return {.type = type,
          .name = name,
          .file = file,
          .quant = {.low_bits = 4,
                    .table = table,
                    .sub = sub,
                    .group = file.columns,
                    .scale = ScaleForm::kBytes,
                    .scale_shift = scale_shift}};
}

// The one list of weight types, in the order of WeightType. Whatever is made by type is made from
// it, so that nothing else depends on that order.
inline constexpr WeightFormat kWeightFormats[] = {
    {.type = WeightType::kF32, .name = "F32", .file = {.id = 0, .bytes = 4}},
    {.type = WeightType::kF16, .name = "F16", .file = {.id = 1, .bytes = 2}},
    {.type = WeightType::kBF16, .name = "BF16", .file = {.id = 30, .bytes = 2}},
    {.type = WeightType::kQ8_0,
     .name = "Q8_0",
     .file = {.id = 8, .columns = 32, .bytes = 34},
     .quant = {.low_bits = 8, .bias = 128, .sub = 32, .group = 32}},
    {.type = WeightType::kQ4_0,
     .name = "Q4_0",
     .file = {.id = 2, .columns = 32, .bytes = 18},
     .quant = {.low_bits = 4, .bias = 8, .sub = 32, .group = 32}},
    {.type = WeightType::kQ4_1,
     .name = "Q4_1",
     .file = {.id = 3, .columns = 32, .bytes = 20},
     .quant = {.low_bits = 4, .sub = 32, .group = 32, .minimum = true}},
    {.type = WeightType::kQ5_0,
     .name = "Q5_0",
     .file = {.id = 6, .columns = 32, .bytes = 22},
     .quant = {.low_bits = 4, .high_bits = 1, .bias = 16, .sub = 32, .group = 32}},
    {.type = WeightType::kQ5_1,
     .name = "Q5_1",
     .file = {.id = 7, .columns = 32, .bytes = 24},
     .quant = {.low_bits = 4, .high_bits = 1, .sub = 32, .group = 32, .minimum = true}},
    {.type = WeightType::kQ2_K,
     .name = "Q2_K",
     .file = {.id = 10, .columns = 256, .bytes = 84},
     .quant =
         {.low_bits = 2, .sub = 16, .group = 256, .scale = ScaleForm::kNibbles, .minimum = true}},
    {.type = WeightType::kQ3_K,
     .name = "Q3_K",
     .file = {.id = 11, .columns = 256, .bytes = 110},
     .quant = {.low_bits = 2,
               .high_bits = 1,
               .bias = 4,
               .sub = 16,
               .group = 256,
               .scale = ScaleForm::kBytes}},
    {.type = WeightType::kQ4_K,
     .name = "Q4_K",
     .file = {.id = 12, .columns = 256, .bytes = 144},
     .quant =
         {.low_bits = 4, .sub = 32, .group = 256, .scale = ScaleForm::kBytes, .minimum = true}},
    {.type = WeightType::kQ5_K,
     .name = "Q5_K",
     .file = {.id = 13, .columns = 256, .bytes = 176},
     .quant = {.low_bits = 4,
               .high_bits = 1,
               .sub = 32,
               .group = 256,
               .scale = ScaleForm::kBytes,
               .minimum = true}},
    {.type = WeightType::kQ6_K,
     .name = "Q6_K",
     .file = {.id = 14, .columns = 256, .bytes = 210},
     .quant = {.low_bits = 4,
               .high_bits = 2,
               .bias = 32,
               .sub = 16,
               .group = 256,
               .scale = ScaleForm::kBytes}},
    {.type = WeightType::kIQ4_NL,
     .name = "IQ4_NL",
     .file = {.id = 20, .columns = 32, .bytes = 18},
     .quant = {.low_bits = 4, .table = CodeTable::kIq4, .sub = 32, .group = 32}},
    {.type = WeightType::kIQ4_XS,
     .name = "IQ4_XS",
     .file = {.id = 23, .columns = 256, .bytes = 136},
     .quant = {.low_bits = 4,
               .table = CodeTable::kIq4,
               .sub = 32,
               .group = 256,
               .scale = ScaleForm::kBytes}},
    {.type = WeightType::kMXFP4,
     .name = "MXFP4",
     .file = {.id = 39, .columns = 32, .bytes = 17},
     .quant = {.low_bits = 4,
               .table = CodeTable::kE2M1,
               .sub = 32,
               .group = 32,
               .scale = ScaleForm::kPower}},
    {.type = WeightType::kNVFP4,
     .name = "NVFP4",
     .file = {.id = 40, .columns = 64, .bytes = 36},
     .quant = {.low_bits = 4,
               .table = CodeTable::kE2M1,
               .sub = 16,
               .group = 64,
               .scale = ScaleForm::kHalves}},
    {.type = WeightType::kQ1_0,
     .name = "Q1_0",
     .file = {.id = 41, .columns = 128, .bytes = 18},
     .quant = {.low_bits = 2, .bias = 1, .sub = 32, .group = 128}},
    {.type = WeightType::kQ2_0,
     .name = "Q2_0",
     .file = {.id = 42, .columns = 64, .bytes = 18},
     .quant = {.low_bits = 2, .bias = 1, .sub = 32, .group = 64}},
    {.type = WeightType::kTQ1_0,
     .name = "TQ1_0",
     .file = {.id = 34, .columns = 256, .bytes = 54},
     .quant = {.low_bits = 2, .bias = 1, .sub = 32, .group = 256}},
    {.type = WeightType::kTQ2_0,
     .name = "TQ2_0",
     .file = {.id = 35, .columns = 256, .bytes = 66},
     .quant = {.low_bits = 2, .bias = 1, .sub = 32, .group = 256}},
    GridFormat(WeightType::kIQ1_S, "IQ1_S", {19, 256, 50}, CodeTable::kIq1, 32, 3),
    GridFormat(WeightType::kIQ1_M, "IQ1_M", {29, 256, 56}, CodeTable::kIq1, 16, 3),
    GridFormat(WeightType::kIQ2_XXS, "IQ2_XXS", {16, 256, 66}, CodeTable::kIq2, 32, 3),
    GridFormat(WeightType::kIQ2_XS, "IQ2_XS", {17, 256, 74}, CodeTable::kIq2, 16, 3),
    GridFormat(WeightType::kIQ2_S, "IQ2_S", {22, 256, 82}, CodeTable::kIq2, 16, 3),
    GridFormat(WeightType::kIQ3_XXS, "IQ3_XXS", {18, 256, 98}, CodeTable::kIq3, 32, 2),
    GridFormat(WeightType::kIQ3_S, "IQ3_S", {21, 256, 110}, CodeTable::kOdd, 32, 0),
};
inline constexpr size_t kWeightTypes = sizeof(kWeightFormats) / sizeof(kWeightFormats[0]);

// What ggml defines and no kernel multiplies by; a type that gets kernels moves up. The ids 4, 5,
// 31 to 33 and 36 to 38 are those of formats that ggml has removed.
struct NamedFormat {
  const char* name;
  FileFormat file;
};
inline constexpr NamedFormat kOtherFormats[] = {
    {"Q8_1", {9, 32, 36}}, {"Q8_K", {15, 256, 292}}, {"I8", {24, 1, 1}},  {"I16", {25, 1, 2}},
    {"I32", {26, 1, 4}},   {"I64", {27, 1, 8}},      {"F64", {28, 1, 8}},
};

static consteval bool RowsAreInOrder() {
  for (size_t i = 0; i < kWeightTypes; ++i) {
    const WeightFormat& row = kWeightFormats[i];
    if (static_cast<size_t>(row.type) != i) return false;
    if (row.quant.group != 0 && row.quant.group != row.file.columns) return false;
  }
  return true;
}
static_assert(RowsAreInOrder() && kWeightTypes == static_cast<size_t>(WeightType::kIQ3_S) + 1,
              "kWeightFormats has one row for each WeightType, in its order");

static constexpr const WeightFormat& FormatOf(WeightType type) {
  return kWeightFormats[static_cast<size_t>(type)];
}
static constexpr bool IsQuantized(WeightType type) { return FormatOf(type).quant.group != 0; }

// A table by weight type.
template <class T>
struct ByWeightType {
  T of[kWeightTypes];
};

// The table of make.operator()<type>() for every type. At compile time only, so that no code of it
// is anywhere to be shared.
template <class Make>
static consteval auto TableOf(Make make) {
  return [&]<size_t... i>(std::index_sequence<i...>) {
    using T = decltype(make.template operator()<WeightType::kF32>());
    return ByWeightType<T>{{make.template operator()<static_cast<WeightType>(i)>()...}};
  }
  (std::make_index_sequence<kWeightTypes>());
}

// The x86 products of bytes want unsigned codes, which are weight + UnsignedBias; a weight of the
// table is made unsigned by 128.
static constexpr int UnsignedBias(QuantFormat f) { return HasTable(f) ? 128 : f.bias; }

// ActivationView::offset is -128 * sum; this shift makes it -UnsignedBias * sum. REQUIRES: a bias.
static constexpr int OffsetShift(QuantFormat f) {
  int shift = 0;
  while ((UnsignedBias(f) << shift) < 128) ++shift;
  return shift;
}

// Bytes of a group's parts, 16 rows each.
static constexpr size_t LowPlaneBytes(QuantFormat f) { return 64 * f.low_bits; }
static constexpr size_t BlockBytes(QuantFormat f) { return 64 * (f.low_bits + f.high_bits); }
static constexpr bool HasSubScales(QuantFormat f) {
  return f.scale == ScaleForm::kBytes || f.scale == ScaleForm::kNibbles;
}
// Bytes of those scales and minima that take two bytes each.
static constexpr size_t HalfScaleBytes(QuantFormat f) {
  const size_t scales = f.scale == ScaleForm::kHalves ? f.group / f.sub : 1;
  return 2 * kPanelRows * (scales + (f.minimum ? 1 : 0));
}
static constexpr size_t HeaderBytes(QuantFormat f) {
  const size_t kinds = f.scale == ScaleForm::kNibbles || !f.minimum ? 1 : 2;
  return HalfScaleBytes(f) + (HasSubScales(f) ? kinds * kPanelRows * f.group / f.sub : 0);
}
static constexpr float ScaleFactor(QuantFormat f) {
  return 1.0f / static_cast<float>(1 << f.scale_shift);
}
static constexpr size_t GroupBytes(QuantFormat f) {
  return HeaderBytes(f) + f.group / kQuantBlock * BlockBytes(f);
}

const char* Name(WeightType type);
// Columns of a matrix must be a multiple of this.
size_t FileBlock(WeightType type);
// Bytes of one row of `cols` values as a GGUF file stores it. REQUIRES: cols % FileBlock == 0.
size_t FileRowBytes(WeightType type, size_t cols);
size_t PanelBytes(WeightType type, size_t cols);

}  // namespace lockstep
