// Weights are repacked into panels of 16 rows, so that a vector lane holds one output and every
// sum runs in one order whatever the vector width. Rows beyond the last are zero. Declarations
// only: the ISA files include this, and an inline function that they compile with their own flags
// might be the copy that the linker keeps for everyone.
//
// Layout of a panel, K columns:
//   F32, F16, BF16  [K][16]                      the element of 16 rows side by side
//   Q8_0  K/32 blocks of { f16 scale[16]; int8 q[8][16][4] }   q[k/4][row][k%4]
//   Q4_0  K/32 blocks of { f16 scale[16]; uint8 q[4][16][4] }  byte [j][row][i] holds the codes of
//         k = 8j + i (low nibble) and k = 8j + 4 + i (high nibble); value = (code - 8) * scale
#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace lockstep
