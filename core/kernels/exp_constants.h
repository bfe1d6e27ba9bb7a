// The constants of the kernels' exp; see kernels.h for the order of operations. The coefficients
// are the minimax polynomial of Cephes expf (S. Moshier): relative error below 2e-7.
#pragma once

namespace lockstep::exp_constants {

inline constexpr float kLowest = -87.0f;  // below: zero, so that no result is denormal
inline constexpr float kHighest = 88.0f;
inline constexpr float kLog2E = 1.44269504088896341f;
inline constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer
inline constexpr float kLn2High = 0.693359375f;
inline constexpr float kLn2Low = -2.12194440e-4f;
// exp(r) = 1 + r + r^2 * (((((c0 r + c1) r + c2) r + c3) r + c4) r + c5)
inline constexpr float kC[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};

// 2 * sqrt(2 / pi), and 0.044715 times that: GELU's tanh form.
inline constexpr float kGelu0 = 1.59576912160573071f;
inline constexpr float kGelu1 = 0.07135481627260025f;

}  // namespace lockstep::exp_constants
