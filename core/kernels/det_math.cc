// Each function reduces its argument to a small interval, where a short polynomial or series in a
// fixed order is exact enough, and puts the result together from there (Cody and Waite 1980). There
// is no table and no fma, so that no compiler and no machine can round elsewhere.
#include "core/kernels/det_math.h"

#include <bit>
#include <cstdint>

#include "core/kernels/exp_formula.h"

namespace lockstep {

using exp_formula::kLn2High, exp_formula::kLn2Low, exp_formula::kRound;

namespace {

// pi / 2 in parts, as kLn2High and kLn2Low are those of ln 2.
constexpr double kHalfPi1 = 1.57079632673412561417e+00;
constexpr double kHalfPi2 = 6.07710050630396597660e-11;
constexpr double kHalfPi3 = 2.02226624879595063154e-21;

}  // namespace

double DetExp(double x) { return x == x ? ExpFormula(x > 709.0 ? 709.0 : x) : x; }

double DetSigmoid(double x) { return 1 / (1 + DetExp(-x)); }

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
