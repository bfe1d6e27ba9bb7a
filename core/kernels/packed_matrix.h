// A weight matrix repacked into panels of 16 rows, so that a vector lane holds one output and every
// sum runs in one order whatever the vector width. Rows beyond the last are zero.
//
// Layout of a panel, K columns:
//   F32, F16, BF16  [K][16]                      the element of 16 rows side by side
//   Q8_0  K/32 blocks of { f16 scale[16]; int8 q[8][16][4] }   q[k/4][row][k%4]
//   Q4_0  K/32 blocks of { f16 scale[16]; uint8 q[4][16][4] }  byte [j][row][i] holds the codes of
//         k = 8j + i (low nibble) and k = 8j + 4 + i (high nibble); value = (code - 8) * scale
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kernels/aligned_buffer.h"

namespace lockstep {

inline constexpr size_t kPanelRows = 16;
inline constexpr size_t kQuantBlock = 32;

enum class WeightType : uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0 };
inline constexpr size_t kWeightTypes = 5;

const char* Name(WeightType type);
// Bytes of one row of `cols` values as a GGUF file stores it. REQUIRES: cols is a whole number of
// blocks of the type.
size_t FileRowBytes(WeightType type, size_t cols);
size_t PanelBytes(WeightType type, size_t cols);
inline bool IsQuantised(WeightType t) { return t == WeightType::kQ8_0 || t == WeightType::kQ4_0; }
inline size_t PaddedRows(size_t rows) { return (rows + kPanelRows - 1) / kPanelRows * kPanelRows; }

struct PackedMatrix {
  WeightType type = WeightType::kF32;
  size_t rows = 0, cols = 0;
  AlignedBuffer<uint8_t> panels;  // [PaddedRows(rows) / 16][PanelBytes(type, cols)]

  size_t panel_count() const { return PaddedRows(rows) / kPanelRows; }
  const uint8_t* panel(size_t i) const { return panels.data() + i * PanelBytes(type, cols); }
};

// An all-zero matrix, to be filled panel by panel (by several threads, if need be).
PackedMatrix MakePackedMatrix(WeightType type, size_t rows, size_t cols);
// Repacks rows [16 * panel, ...) of `file_rows`, the whole matrix as a GGUF file stores it. False
// if a value of a float type or a block scale is NaN or infinite.
bool PackPanel(const uint8_t* file_rows, size_t panel, PackedMatrix& out);
// Row `row` as floats.
void DecodeRow(const PackedMatrix& matrix, size_t row, float* out /* [cols] */);

// IEEE binary16 and bfloat16 to float and back (to nearest even), without ISA extensions.
float HalfToFloat(uint16_t half);
uint16_t FloatToHalf(float value);
float BFloat16ToFloat(uint16_t value);

}  // namespace lockstep
