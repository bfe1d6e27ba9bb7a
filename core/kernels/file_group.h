// The quantized blocks of GGUF files (ggml's formats), taken apart: what the repacking reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/layout.h"

namespace lockstep {

// A group of one row: FormatOf(type).quant.group columns.
struct FileGroup {
  uint16_t scale[16];    // one, or for ScaleForm::kHalves one for each sub-block
  uint16_t minimum;      // f16, for types with minima
  int8_t sub_scale[16];  // for ScaleForm::kBytes and kNibbles
  uint8_t sub_minimum[16];
  uint32_t code[8][8];  // code[b][t]: columns 32b + 4t + 0..3, one byte each, lowest first
};

// Files are little endian, as all machines are that this runs on.
inline uint16_t Load16(const uint8_t* p) {
  uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint32_t Load32(const uint8_t* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// Codes are handled by fours, as the bytes of a word.
constexpr uint32_t Bytes(uint32_t byte) { return byte * 0x01010101u; }
// Bits 0 to 3 to the lowest bits of bytes 0 to 3.
constexpr uint32_t SpreadBits(uint32_t four) { return (four * 0x00204081u) & Bytes(1); }

// The formats with grids, for ReadFileGroup.
void ReadGridGroup(WeightType type, const uint8_t* p, FileGroup& group);

// `p` points at FileRowBytes(type, group) bytes. REQUIRES: a quantized type.
void ReadFileGroup(WeightType type, const uint8_t* p, FileGroup& group);

}  // namespace lockstep
