#include "tests/support/random_tensor.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <string_view>

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

// The nearest that the format has; of powers of two one of the two around it, by chance, so that
// the mean of the squares is right.
void StoreScale(const Halves& halves, double scale, Random& random, uint8_t* block) {
  uint8_t* const p = block + halves.scale;
  switch (halves.form) {
    case Halves::Form::kHalf:
      return StoreHalf(p, scale);
    case Halves::Form::kPower: {
      const int exponent = std::ilogb(scale);
      const double above = (std::pow(std::ldexp(scale, -exponent), 2) - 1) / 3;
      *p = static_cast<uint8_t>(127 + exponent + (random.Float(0, 1) < above ? 1 : 0));
      return;
    }
    case Halves::Form::kSmallFloats: {
      const double size = std::fabs(scale);
      const int exponent = std::max(std::ilogb(size), -6);
      const auto steps = static_cast<int>(std::nearbyint(std::ldexp(size, 3 - exponent)));
      std::memset(p, std::clamp((exponent + 6) * 8 + steps, 1, 126), 4);
      return;
    }
    case Halves::Form::kNibbles: {
      const uint16_t half = DoubleToHalf(scale);
      for (size_t i = 0; i < 4; ++i) {
        uint8_t& byte = p[2 * i + 1];
        byte = static_cast<uint8_t>((byte & 15) | (half >> (4 * i) & 15) << 4);
      }
      return;
    }
  }
}

void FillBlock(Random& random, WeightType type, double std, uint8_t* block) {
  const FileFormat& file = FormatOf(type).file;
  for (size_t i = 0; i < file.bytes; ++i) block[i] = static_cast<uint8_t>(random.Next());
  const Halves halves = HalvesOf(file.id);
  const auto set_scale = [&](double scale) {
    StoreScale(halves, scale, random, block);
    if (halves.middle != 0) StoreHalf(block + halves.min, scale * halves.middle);
  };
  set_scale(1);
  double squares = 0;
  for (const double v : Dequantize(file.id, {block, file.bytes}, file.columns)) {
    squares += v * v;
  }
  const double rms = std::sqrt(squares / static_cast<double>(file.columns));
  const double sign = random.Below(2) == 0 ? 1 : -1;
  set_scale(sign * random.Float(0.75f, 1.25f) * std / std::max(rms, 0.5));
}

}  // namespace

std::vector<uint8_t> RandomTensorBytes(Random& random, WeightType type, size_t values, double std) {
  const FileFormat& file = FormatOf(type).file;
  assert(values % file.columns == 0);
  std::vector<uint8_t> bytes(values / file.columns * file.bytes);
  const auto edge = static_cast<float>(std * std::sqrt(3.0));  // of the uniform distribution
  for (size_t at = 0; at < bytes.size(); at += file.bytes) {
    if (IsQuantized(type)) {
      FillBlock(random, type, std, &bytes[at]);
      continue;
    }
    const float value = random.Float(-edge, edge);
    const auto bits = std::bit_cast<uint32_t>(value);
    if (type == WeightType::kF32) std::memcpy(&bytes[at], &bits, 4);
    if (type == WeightType::kF16) StoreHalf(&bytes[at], value);
    if (type == WeightType::kBF16) {
      const auto upper = static_cast<uint16_t>(bits >> 16);
      std::memcpy(&bytes[at], &upper, 2);
    }
  }
  return bytes;
}

std::vector<size_t> HalfOffsets(WeightType type) {
  const Halves halves = HalvesOf(FormatOf(type).file.id);
  if (halves.form != Halves::Form::kHalf) return {};
  if (halves.middle == 0) return {halves.scale};
  return {halves.scale, halves.min};
}

}  // namespace lockstep
