// A weight matrix in the kernels' layout, and how a GGUF tensor gets there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/layout.h"

namespace lockstep {

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
// Repacks rows [16 * panel, ...) of `file_rows`, the whole matrix as a GGUF file stores it. With an
// order, row r is row order[r] of the file. False if a value of a float type or a block scale is
// NaN or infinite.
bool PackPanel(const uint8_t* file_rows, size_t panel, PackedMatrix& out,
               const uint32_t* order = nullptr /* [rows] */);
// Row `row` as floats.
void DecodeRow(const PackedMatrix& matrix, size_t row, float* out /* [cols] */);

// Single values of a panel, for reading rows and for the reference kernels.
float PanelElement(WeightType type, const uint8_t* panel, size_t k, size_t lane);  // float types
// The integer weight of column i (0 to 31) of a block.
int PanelWeight(const QuantFormat& format, const uint8_t* block, size_t i, size_t lane);
struct PanelScale {
  float scale, minimum;  // exact products of the group's and the sub-block's
};
PanelScale PanelScaleOf(const QuantFormat& format, const uint8_t* group, size_t sub, size_t lane);

}  // namespace lockstep
