#include "tests/support/random_tensor.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <string_view>

#include "core/gguf/dtype.h"
#include "tests/support/dequantize.h"

namespace lockstep {
namespace {

// Round to nearest. REQUIRES: |value| is below 65520.
uint16_t DoubleToHalf(double value) {
  const unsigned sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  const int exponent = size > 0 ? std::max(std::ilogb(size), -14) : -14;
  const auto steps = static_cast<unsigned>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return static_cast<uint16_t>(sign | ((static_cast<unsigned>(exponent + 14) << 10) + steps));
}

void StoreHalf(uint8_t* p, double value) {
  const uint16_t half = DoubleToHalf(value);
  std::memcpy(p, &half, 2);
}

// Where a block's halves are. `middle`: the half for the mins (or, negative, the offset) as a
// multiple of the scale that centres the values, random codes and mins being what they are.
struct Halves {
  size_t scale = 0;
  size_t min = 0;
  double middle = 0;  // 0: no min
};

Halves HalvesOf(uint32_t type) {
  switch (type) {
    case 3:  // Q4_1
      return {0, 2, -7.5};
    case 7:  // Q5_1
      return {0, 2, -15.5};
    case 10:  // Q2_K
      return {80, 82, 1.5};
    case 11:  // Q3_K
      return {108};
    case 12:  // Q4_K
      return {0, 2, 7.5};
    case 13:  // Q5_K
      return {0, 2, 15.5};
    case 14:  // Q6_K
      return {208};
    default:
      return {};
  }
}

void FillBlock(Random& random, uint32_t type, const DTypeInfo& info, double std, uint8_t* block) {
  for (size_t i = 0; i < info.block_bytes; ++i) block[i] = static_cast<uint8_t>(random.Next());
  const Halves halves = HalvesOf(type);
  const auto set_scale = [&](double scale) {
    StoreHalf(block + halves.scale, scale);
    if (halves.middle != 0) StoreHalf(block + halves.min, scale * halves.middle);
  };
  set_scale(1);
  double squares = 0;
  for (const double v : Dequantize(type, {block, info.block_bytes}, info.block_elements)) {
    squares += v * v;
  }
  const double rms = std::sqrt(squares / static_cast<double>(info.block_elements));
  const double sign = random.Below(2) == 0 ? 1 : -1;
  set_scale(sign * random.Float(0.75f, 1.25f) * std / std::max(rms, 1.0));
}

}  // namespace

std::vector<uint8_t> RandomTensorBytes(Random& random, uint32_t type, size_t values, double std) {
  const DTypeInfo* info = FindDType(type);
  assert(info != nullptr && values % info->block_elements == 0);
  std::vector<uint8_t> bytes(values / info->block_elements * info->block_bytes);
  const auto edge = static_cast<float>(std * std::sqrt(3.0));  // of the uniform distribution
  for (size_t at = 0; at < bytes.size(); at += info->block_bytes) {
    if (info->block_elements > 1) {
      FillBlock(random, type, *info, std, &bytes[at]);
      continue;
    }
    const float value = random.Float(-edge, edge);
    const auto bits = std::bit_cast<uint32_t>(value);
    if (type == 0) std::memcpy(&bytes[at], &bits, 4);
    if (type == 1) StoreHalf(&bytes[at], value);
    if (type == 30) {
      const auto upper = static_cast<uint16_t>(bits >> 16);
      std::memcpy(&bytes[at], &upper, 2);
    }
  }
  return bytes;
}

uint32_t GgufTypeOf(WeightType type) {
  for (uint32_t id = 0; id < 64; ++id) {
    const DTypeInfo* info = FindDType(id);
    if (info != nullptr && std::string_view(info->name) == Name(type)) return id;
  }
  return UINT32_MAX;
}

}  // namespace lockstep
