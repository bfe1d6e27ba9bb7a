// The formula of DetExp, for whoever makes many. It is put into its callers and never linked, so
// that they may be compiled for any instruction set (std::bit_cast could be), and it has no branch,
// comparison or loop, so that compilers make vector instructions of it.
#pragma once

#include <cstdint>

namespace lockstep {
namespace exp_formula {

inline constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves an integer
// ln 2 in parts whose trailing bits are zero, so that n times the first is exact (Cody and Waite;
// the split is fdlibm's).
inline constexpr double kLn2High = 6.93147180369123816490e-01;
inline constexpr double kLn2Low = 1.90821492927058770002e-10;

// 1 + r / 1 (1 + r / 2 (1 + ... r / 13)): Taylor, |r| <= ln 2 / 2, the first term left out is below
// 5e-18.
template <int kTerm = 13>
[[gnu::always_inline]] inline double Taylor(double r, double sum = 1.0) {
  if constexpr (kTerm == 0) {
    return sum;
  } else {
    return Taylor<kTerm - 1>(r, 1.0 + r / kTerm * sum);
  }
}

}  // namespace exp_formula

// What is below -708 gives 0. NaN gives 0 or NaN. REQUIRES: x <= 709.
[[gnu::always_inline]] inline double ExpFormula(double x) {
  namespace f = exp_formula;
  const double shifted = x * 1.44269504088896340736 + f::kRound;  // its last bits are n
  const double n = shifted - f::kRound;
  const double r = (x - n * f::kLn2High) - n * f::kLn2Low;
  const double power =
      __builtin_bit_cast(double, (__builtin_bit_cast(uint64_t, shifted) + 1023) << 52);
  const uint64_t keep = (__builtin_bit_cast(uint64_t, x + 708.0) >> 63) - 1;  // by the sum's sign
  return __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, f::Taylor(r) * power) & keep);
}

}  // namespace lockstep
