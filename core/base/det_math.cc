// Each function reduces its argument to a small interval, where a short polynomial or series in a
// fixed order is exact enough, and puts the result together from there (Cody and Waite 1980). There
// is no table and no fma, so that no compiler and no machine can round elsewhere.
#include "core/base/det_math.h"

#include <bit>
#include <cstdint>

namespace lockstep {
namespace {

constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves an integer
// ln 2 and pi / 2 in parts whose trailing bits are zero, so that n times the first parts is exact
// (Cody and Waite; the splits are fdlibm's).
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kHalfPi1 = 1.57079632673412561417e+00;
constexpr double kHalfPi2 = 6.07710050630396597660e-11;
constexpr double kHalfPi3 = 2.02226624879595063154e-21;

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

// Without a branch, a comparison or a loop, so that compilers make vector instructions of many: a
// number below -708 gives anything, of which no bit is kept. REQUIRES: x <= 709.
[[gnu::always_inline]] inline double ExpOf(double x) {
  const double shifted = x * 1.44269504088896340736 + kRound;  // its last bits are n
  const double n = shifted - kRound;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  const double power = std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + 1023) << 52);
  const uint64_t keep = (std::bit_cast<uint64_t>(x + 708.0) >> 63) - 1;  // by the sum's sign
  return std::bit_cast<double>(std::bit_cast<uint64_t>(Taylor(r) * power) & keep);
}

}  // namespace

double DetExp(double x) { return x == x ? ExpOf(x > 709.0 ? 709.0 : x) : x; }

void DetExp(std::span<double> x) {
  for (double& value : x) value = ExpOf(value);
}

double DetLog(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int64_t exponent = static_cast<int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
  if (m > 1.41421356237309504880) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2 atanh(s), |s| <= 0.172: the first term left out is below 1e-18
  const double s = (m - 1.0) / (m + 1.0), s2 = s * s;
  double sum = 0.0;
  for (int k = 23; k >= 3; k -= 2) sum = (sum + 1.0 / k) * s2;
  const double e = static_cast<double>(exponent);
  return e * kLn2High + (2.0 * s + (2.0 * s * sum + e * kLn2Low));
}

void DetSinCos(double x, double* sin, double* cos) {
  const double n = (x * 0.63661977236758134308 + kRound) - kRound;
  const double r = ((x - n * kHalfPi1) - n * kHalfPi2) - n * kHalfPi3;
  const double r2 = r * r;
  double s = 1.0, c = 1.0;  // Taylor, |r| <= pi / 4: the first term left out is below 1e-17
  for (int i = 16; i >= 2; i -= 2) {
    s = 1.0 - r2 / (i * (i + 1)) * s;
    c = 1.0 - r2 / (i * (i - 1)) * c;
  }
  s *= r;
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      *sin = s, *cos = c;
      break;
    case 1:
      *sin = c, *cos = -s;
      break;
    case 2:
      *sin = -s, *cos = -c;
      break;
    default:
      *sin = -c, *cos = s;
      break;
  }
}

}  // namespace lockstep
