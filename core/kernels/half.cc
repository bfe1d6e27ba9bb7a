// Conversions by their bits, for where no instruction set may be assumed: the reference, the
// repacking of weights, and the tests. The kernels' instructions give the same bits.
#include "core/kernels/half.h"

#include <bit>

namespace lockstep {

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t rest = half & 0x7fff;
  if (rest >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ff) << 13);
  if (rest >= 0x0400) return std::bit_cast<float>(sign | ((rest << 13) + ((127u - 15u) << 23)));
  // Denormal or zero: the bits count units of 2^-24, exactly.
  const float value = static_cast<float>(rest) * 0x1p-24f;
  return sign != 0 ? -value : value;
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00);   // NaN, payload dropped
  if (rest >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00);  // rounds to infinity
  if (rest >= 0x38800000u) {  // normal: round the 13 bits that go to nearest even
    const uint32_t rounded = rest + 0xfff + ((rest >> 13) & 1);
    return static_cast<uint16_t>(sign | ((rounded - ((127u - 15u) << 23)) >> 13));
  }
  if (rest < 0x33000000u) return sign;  // below half of the smallest denormal
  const uint32_t exponent = rest >> 23, mantissa = (rest & 0x7fffffu) | 0x800000u;
  const uint32_t shift = 126 - exponent;  // 14 to 24: the result counts units of 2^-24
  const uint32_t kept = mantissa >> shift, lost = mantissa & ((1u << shift) - 1);
  const uint32_t half_way = 1u << (shift - 1);
  const uint32_t up = lost > half_way || (lost == half_way && (kept & 1)) ? 1 : 0;
  return static_cast<uint16_t>(sign | (kept + up));
}

float BFloat16ToFloat(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

uint16_t FloatToBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40);
  if (rest < 0x00800000u) return static_cast<uint16_t>((bits >> 16) & 0x8000);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace lockstep
