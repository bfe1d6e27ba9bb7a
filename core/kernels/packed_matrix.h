// A weight matrix in the kernels' layout, and how a GGUF tensor gets there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/layout.h"

namespace lockstep {

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
