// The tile unit in software, so that the AMX kernels are tested on any machine with AVX-512:
// included before core/kernels/x86/amx.cc, whose intrinsics it replaces, it makes that file a table
// of another name. Semantics from the Intel Software Developer's Manual; shapes that the real unit
// refuses end the test.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace lockstep::amx_emulation {

struct Tile {
  uint8_t rows = 0;
  uint16_t row_bytes = 0;
  uint8_t data[16][64];
};
inline thread_local Tile tiles[8];
inline thread_local bool configured = false;

inline void Require(bool condition) {
  if (!condition) std::abort();
}

inline void LoadConfig(const void* config) {
  const auto* p = static_cast<const uint8_t*>(config);
  Require(p[0] == 1 && p[1] == 0);
  for (int t = 0; t < 8; ++t) {
    tiles[t].rows = p[48 + t];
    std::memcpy(&tiles[t].row_bytes, p + 16 + 2 * t, 2);
    Require(tiles[t].rows <= 16 && tiles[t].row_bytes <= 64);
    Require((tiles[t].rows == 0) == (tiles[t].row_bytes == 0));
    std::memset(tiles[t].data, 0, sizeof(tiles[t].data));
  }
  configured = true;
}

inline Tile& Use(int t) {
  Require(configured && tiles[t].rows != 0);
  return tiles[t];
}

inline void Load(int t, const void* from, size_t stride) {
  Tile& tile = Use(t);
  std::memset(tile.data, 0, sizeof(tile.data));
  for (int r = 0; r < tile.rows; ++r) {
    std::memcpy(tile.data[r], static_cast<const uint8_t*>(from) + r * stride, tile.row_bytes);
  }
}

inline void Zero(int t) { std::memset(Use(t).data, 0, sizeof(Tile::data)); }

inline void Store(int t, void* to, size_t stride) {
  Tile& tile = Use(t);
  for (int r = 0; r < tile.rows; ++r) {
    std::memcpy(static_cast<uint8_t*>(to) + r * stride, tile.data[r], tile.row_bytes);
  }
}

template <class T>
T Get(const Tile& tile, int row, int i) {
  T v;
  std::memcpy(&v, tile.data[row] + i * sizeof(T), sizeof(T));
  return v;
}

template <class T>
void Set(Tile& tile, int row, int i, T v) {
  std::memcpy(tile.data[row] + i * sizeof(T), &v, sizeof(T));
}

inline void CheckShapes(const Tile& c, const Tile& a, const Tile& b) {
  Require(c.rows == a.rows && c.row_bytes == b.row_bytes && a.row_bytes / 4 == b.rows);
}

inline void DotInt8(int dst, int src1, int src2) {
  Tile &c = Use(dst), &a = Use(src1), &b = Use(src2);
  CheckShapes(c, a, b);
  for (int m = 0; m < c.rows; ++m) {
    int32_t sums[16];
    std::memcpy(sums, c.data[m], sizeof(sums));
    for (int k = 0; k < a.row_bytes; ++k) {
      const int left = static_cast<int8_t>(a.data[m][k]);
      for (int n = 0; n < 16; ++n) {
        sums[n] += left * static_cast<int8_t>(b.data[k / 4][4 * n + k % 4]);
      }
    }
    std::memcpy(c.data[m], sums, sizeof(sums));
  }
}

inline float FromBf16(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

// REQUIRES: denormals are flushed, as the unit always does.
inline void DotBf16(int dst, int src1, int src2) {
  Tile &c = Use(dst), &a = Use(src1), &b = Use(src2);
  CheckShapes(c, a, b);
  for (int m = 0; m < c.rows; ++m) {
    for (int n = 0; n < c.row_bytes / 4; ++n) {
      float chain[2] = {0.0f, 0.0f};
      for (int k = 0; k < a.row_bytes / 2; ++k) {
        chain[k % 2] = std::fma(FromBf16(Get<uint16_t>(a, m, k)),
                                FromBf16(Get<uint16_t>(b, k / 2, 2 * n + k % 2)), chain[k % 2]);
      }
      Set(c, m, n, Get<float>(c, m, n) + (chain[0] + chain[1]));
    }
  }
}

}  // namespace lockstep::amx_emulation

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbf16ps
#define _tile_loadconfig lockstep::amx_emulation::LoadConfig
#define _tile_release() (lockstep::amx_emulation::configured = false)
#define _tile_zero lockstep::amx_emulation::Zero
#define _tile_loadd lockstep::amx_emulation::Load
#define _tile_stored lockstep::amx_emulation::Store
#define _tile_dpbssd lockstep::amx_emulation::DotInt8
#define _tile_dpbf16ps lockstep::amx_emulation::DotBf16

// The kernels' own names, so that both builds of the file can be linked.
#define amx emulated_amx
#define AmxKernels EmulatedAmxKernels
