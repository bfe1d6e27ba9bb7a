// The formulas of kernels.h, written once over registers of floats. Each instruction set gives a
// type R with what its register can do; every lane is computed by the same operations in the same
// order whatever the width, so that the reference, whose register is one float, and all others give
// the same bits.
//
// R is in the anonymous namespace of the files of its instruction set, and so is what is made of
// these templates: no other file can get code that was compiled with their flags.
#pragma once

#include <concepts>

#include "core/kernels/exp_formula.h"
#include "core/kernels/kernels.h"

namespace lockstep {

// R::Type has the arithmetic operators and a unary minus, each of them in every lane.
template <class R>
concept FloatRegister = requires(typename R::Type v, const float* from, float* to, size_t n) {
  requires kLanes % R::kWidth == 0;  // floats in a register
  { R::Broadcast(1.0f) } -> std::same_as<typename R::Type>;
  // All lanes; or the first n <= kWidth, where those beyond are zero, or left alone in memory.
  { R::Load(from) } -> std::same_as<typename R::Type>;
  { R::Store(to, v) } -> std::same_as<void>;
  { R::LoadFirst(from, n) } -> std::same_as<typename R::Type>;
  { R::StoreFirst(to, n, v) } -> std::same_as<void>;
  // The lanes from a first to before a last one of a register, the others of another.
  { R::Select(n, n, v, v) } -> std::same_as<typename R::Type>;
  { R::Fma(v, v, v) } -> std::same_as<typename R::Type>;  // a * b + c
  { R::Min(v, v) } -> std::same_as<typename R::Type>;     // a < b ? a : b
  { R::Max(v, v) } -> std::same_as<typename R::Type>;     // a > b ? a : b
  // 2^n for whole numbers from -126 to 127; anything for others.
  { R::PowerOfTwo(v) } -> std::same_as<typename R::Type>;
  // The second where the first is not below the bound, 0 elsewhere and for NaN.
  { R::ZeroBelow(v, 1.0f, v) } -> std::same_as<typename R::Type>;
  { R::Sum(v) } -> std::same_as<float>;  // the lanes, added in halves
  { R::Largest(v) } -> std::same_as<float>;
};

namespace exp_constants {

inline constexpr float kLowest = -87.0f;  // below: zero, so that no result is denormal
inline constexpr float kHighest = 88.0f;
inline constexpr float kLog2E = 1.44269504088896341f;
inline constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves an integer
inline constexpr float kLn2High = 0.693359375f;
inline constexpr float kLn2Low = -2.12194440e-4f;
// exp(r) = 1 + r + r^2 * (((((c0 r + c1) r + c2) r + c3) r + c4) r + c5): the minimax polynomial of
// Cephes expf (S. Moshier), with a relative error below 2e-7.
inline constexpr float kC[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};

}  // namespace exp_constants

// 2 * sqrt(2 / pi), and 0.044715 times that: GELU's tanh form.
inline constexpr float kGelu0 = 1.59576912160573071f;
inline constexpr float kGelu1 = 0.07135481627260025f;

// Phi(-a) = exp(-z^2) * t * Q(t) / 2, z = a / sqrt(2), t = 1 / (1 + kErfSlope * z): the form of
// Abramowitz and Stegun 7.1.26, with a polynomial of degree 7 that was fitted so that a times the
// error is below 2e-10 before rounding.
inline constexpr float kErfSlope = 0.4f, kRootHalf = 0.70710678118654752f;
inline constexpr float kErf[8] = {0.07799705117940903f, -0.41060495376586914f, 0.7123932242393494f,
                                  -0.3984663188457489f, 0.419210821390152f,    0.13848860561847687f,
                                  0.23588813841342926f, 0.22509343922138214f};

// gpt-oss's gate.
inline constexpr float kGateLimit = 7.0f, kGateSlope = 1.702f;

template <FloatRegister R>
struct Formulas {
  using T = typename R::Type;
  static constexpr size_t kWidth = R::kWidth;
  static constexpr size_t kRegisters = kLanes / kWidth;  // of the virtual lanes

  // x = n ln2 + r with |r| <= ln2 / 2 and a whole n; e^r is a polynomial, 2^n a float's exponent.
  static T Exp(T x) {
    namespace c = exp_constants;
    const T cut = R::Min(x, R::Broadcast(c::kHighest)), round = R::Broadcast(c::kRound);
    const T n = R::Fma(cut, R::Broadcast(c::kLog2E), round) - round;
    T r = R::Fma(n, R::Broadcast(-c::kLn2High), cut);
    r = R::Fma(n, R::Broadcast(-c::kLn2Low), r);
    T p = R::Broadcast(c::kC[0]);
    for (int i = 1; i < 6; ++i) p = R::Fma(p, r, R::Broadcast(c::kC[i]));
    p = R::Fma(p, r * r, r + R::Broadcast(1.0f));
    return R::ZeroBelow(x, c::kLowest, p * R::PowerOfTwo(n));
  }

  // g / (1 + exp(-z)): of SiLU z is g, of GELU what follows.
  static T Gate(T g, T z) { return g / (R::Broadcast(1.0f) + Exp(-z)); }
  static T GeluArgument(T g) {
    return g * R::Fma(g * g, R::Broadcast(kGelu1), R::Broadcast(kGelu0));
  }

  // One formula for both signs: what is far from zero is g or nothing, and loses the same there.
  static T GeluErf(T g) {
    const T a = R::Max(g, -g), z = a * R::Broadcast(kRootHalf);
    const T t = R::Broadcast(1.0f) / R::Fma(R::Broadcast(kErfSlope), z, R::Broadcast(1.0f));
    T q = R::Broadcast(kErf[0]);
    for (int i = 1; i < 8; ++i) q = R::Fma(q, t, R::Broadcast(kErf[i]));
    const T tail = ((t * q) * R::Broadcast(0.5f)) * Exp(-z * z);
    return R::Fma(-a, tail, R::Max(g, R::Broadcast(0.0f)));
  }

  static T SoftCap(T x, float cap) {
    const T over = Exp(x * R::Broadcast(2.0f / cap)) + R::Broadcast(1.0f);
    return R::Broadcast(cap) - R::Broadcast(2.0f * cap) / over;
  }

  // The 16 virtual lanes, added in halves: 8 sums, then 4, 2 and 1.
  static float AddLanes(T (&lanes)[kRegisters]) {
    for (size_t half = kRegisters / 2; half != 0; half /= 2) {
      for (size_t i = 0; i < half; ++i) lanes[i] = lanes[i] + lanes[i + half];
    }
    return R::Sum(lanes[0]);
  }
};

// The kernels that treat each element for itself, or sum over a row.
template <FloatRegister R>
struct Elementwise {
  using F = Formulas<R>;
  using T = typename R::Type;
  static constexpr size_t kWidth = R::kWidth;

  static void RmsNorm(const float* x, const float* w, size_t n, float eps, float* y) {
    const float mean = Mean(x, n, [](T v, size_t, T sum) { return R::Fma(v, v, sum); });
    const T inverse = R::Broadcast(1.0f / __builtin_sqrtf(mean + eps));
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          R::StoreFirst(y + i, count,
                        R::LoadFirst(x + i, count) * inverse * R::LoadFirst(w + i, count));
        });
  }

  static void LayerNorm(const float* x, const float* w, const float* b, size_t n, float eps,
                        float* y) {
    const T mean = R::Broadcast(Mean(x, n, [](T v, size_t, T sum) { return sum + v; }));
    const float variance = Mean(x, n, [=](T v, size_t count, T sum) {
      const T d = R::Select(0, count, v - mean, R::Broadcast(0.0f));
      return R::Fma(d, d, sum);
    });
    const T inverse = R::Broadcast(1.0f / __builtin_sqrtf(variance + eps));
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          const T v = (R::LoadFirst(x + i, count) - mean) * inverse;
          R::StoreFirst(y + i, count,
                        R::Fma(v, R::LoadFirst(w + i, count), R::LoadFirst(b + i, count)));
        });
  }

  static void SiluMul(const float* g, const float* u, size_t n, float* y) {
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          const T v = R::LoadFirst(g + i, count);
          T silu = F::Gate(v, v);
          if (u != nullptr) silu = silu * R::LoadFirst(u + i, count);
          R::StoreFirst(y + i, count, silu);
        });
  }

  static void SigmoidMul(const float* g, const float* u, size_t n, float* y) {
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          const T gated = F::Gate(R::LoadFirst(u + i, count), R::LoadFirst(g + i, count));
          R::StoreFirst(y + i, count, gated);
        });
  }

  static void Mul(const float* x, size_t n, float* y) {
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          R::StoreFirst(y + i, count, R::LoadFirst(y + i, count) * R::LoadFirst(x + i, count));
        });
  }

  static void Convolve(const float* const* x, const float* w, size_t w_stride, size_t taps,
                       size_t n, float* y) {
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          T sum = {};
          for (size_t j = 0; j < taps; ++j) {
            sum = R::Fma(R::LoadFirst(w + j * w_stride + i, count), R::LoadFirst(x[j] + i, count),
                         sum);
          }
          R::StoreFirst(y + i, count, sum);
        });
  }

  static void GeluMul(const float* g, const float* u, size_t n, float* y) {
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          const T v = R::LoadFirst(g + i, count);
          T gelu = F::Gate(v, F::GeluArgument(v));
          if (u != nullptr) gelu = gelu * R::LoadFirst(u + i, count);
          R::StoreFirst(y + i, count, gelu);
        });
  }

  static void GeluErfMul(const float* g, const float* u, size_t n, float* y) {
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          T gelu = F::GeluErf(R::LoadFirst(g + i, count));
          if (u != nullptr) gelu = gelu * R::LoadFirst(u + i, count);
          R::StoreFirst(y + i, count, gelu);
        });
  }

  static void ClampedSiluMul(const float* g, const float* u, size_t n, float* y) {
    const T limit = R::Broadcast(kGateLimit), slope = R::Broadcast(kGateSlope);
    const T one = R::Broadcast(1.0f);
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          const T gate = R::Min(R::LoadFirst(g + i, count), limit);
          const T up = R::Max(R::Min(R::LoadFirst(u + i, count), limit), -limit);
          R::StoreFirst(y + i, count, F::Gate(gate, gate * slope) * (up + one));
        });
  }

  static void SoftCap(float cap, size_t n, float* y) {
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          R::StoreFirst(y + i, count, F::SoftCap(R::LoadFirst(y + i, count), cap));
        });
  }

  // Left to the compiler's vector instructions, since R has none for doubles.
  static void Exps(double* x, size_t n) {
    for (size_t i = 0; i < n; ++i) x[i] = ExpFormula(x[i]);
  }

  static void Add(const float* x, float by, size_t n, float* y) {
    const T factor = R::Broadcast(by);
    ForEach(
        n, [=](size_t i, size_t count) __attribute__((always_inline)) {
          const T sum = R::Fma(R::LoadFirst(x + i, count), factor, R::LoadFirst(y + i, count));
          R::StoreFirst(y + i, count, sum);
        });
  }

 private:
  // fn(i, kWidth) for each whole register of n floats, then fn(i, how many are left). In whole
  // registers the number is a constant, so that they need no mask.
  template <class Fn>
  [[gnu::always_inline]] static inline void ForEach(size_t n, Fn fn) {
    size_t i = 0;
    for (; i + kWidth <= n; i += kWidth) fn(i, kWidth);
    if (i < n) fn(i, n - i);
  }

  // The lanes' sum by n, where fn(values, how many they are, sum) gives the new sum of the lanes
  // that these values go to.
  template <class Fn>
  [[gnu::always_inline]] static inline float Mean(const float* x, size_t n, Fn fn) {
    T lanes[F::kRegisters] = {};
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (size_t r = 0; r < F::kRegisters; ++r) {
        lanes[r] = fn(R::Load(x + i + r * kWidth), kWidth, lanes[r]);
      }
    }
    for (size_t r = 0; r < F::kRegisters; ++r) {
      const size_t begin = i + r * kWidth, left = n - begin < kWidth ? n - begin : kWidth;
      if (begin < n) lanes[r] = fn(R::LoadFirst(x + begin, left), left, lanes[r]);
    }
    return F::AddLanes(lanes) / static_cast<float>(n);
  }
};

// A walk through the state for each token, in which the token's value is written and the output
// read; the delta rule first takes another, for what the state says of the key. 16 values of a head
// of 128 keys are 8 KiB, which stay in the first cache from walk to walk and from token to token.
template <FloatRegister R>
struct Recall {
  using F = Formulas<R>;
  using T = typename R::Type;
  static constexpr size_t kChains = 4;  // so that the latency of one fma is not waited for

  static void DeltaRule(const RecallJob& job) {
    for (size_t row = 0; row < job.rows; ++row) {
      const float* k = job.k + row * job.stride;
      const T decay = R::Broadcast(job.decay[row * job.gate_stride]);
      const T beta = R::Broadcast(job.beta[row * job.gate_stride]);
      T sums[kChains][F::kRegisters] = {}, d[F::kRegisters];
      for (size_t j = 0; j < job.keys; j += kChains) {
        for (size_t c = 0; c < kChains; ++c) {
          const T key = R::Broadcast(k[j + c]);
          for (size_t r = 0; r < F::kRegisters; ++r) {
            sums[c][r] = R::Fma(R::Load(At(job, j + c, r)), key, sums[c][r]);
          }
        }
      }
      for (size_t r = 0; r < F::kRegisters; ++r) {
        d[r] = beta * R::Fma(-decay, AddChains(sums, r), Value(job, row, r));
      }
      WriteAndRead(job, row, decay, d);
    }
  }

  static void StateSpace(const RecallJob& job) {
    for (size_t row = 0; row < job.rows; ++row) {
      const T decay = R::Broadcast(job.decay[row * job.gate_stride]);
      const T beta = R::Broadcast(job.beta[row * job.gate_stride]);
      T d[F::kRegisters];
      for (size_t r = 0; r < F::kRegisters; ++r) d[r] = beta * Value(job, row, r);
      WriteAndRead(job, row, decay, d);
    }
  }

 private:
  [[gnu::always_inline]] static inline void WriteAndRead(const RecallJob& job, size_t row, T decay,
                                                         const T (&d)[F::kRegisters]) {
    const float *q = job.q + row * job.stride, *k = job.k + row * job.stride;
    T sums[kChains][F::kRegisters] = {};
    for (size_t j = 0; j < job.keys; j += kChains) {
      for (size_t c = 0; c < kChains; ++c) {
        const T key = R::Broadcast(k[j + c]), query = R::Broadcast(q[j + c]);
        for (size_t r = 0; r < F::kRegisters; ++r) {
          const T state = R::Fma(R::Load(At(job, j + c, r)), decay, d[r] * key);
          R::Store(At(job, j + c, r), state);
          sums[c][r] = R::Fma(state, query, sums[c][r]);
        }
      }
    }
    for (size_t r = 0; r < F::kRegisters; ++r) {
      R::Store(job.out + row * job.out_stride + r * R::kWidth, AddChains(sums, r));
    }
  }
  static float* At(const RecallJob& job, size_t key, size_t r) {
    return job.state + key * kLanes + r * R::kWidth;
  }
  static T Value(const RecallJob& job, size_t row, size_t r) {
    return R::Load(job.v + row * job.stride + r * R::kWidth);
  }
  static T AddChains(const T (&sums)[kChains][F::kRegisters], size_t r) {
    return (sums[0][r] + sums[1][r]) + (sums[2][r] + sums[3][r]);
  }
};

// An instruction set's table: what it computes by itself, and what is made of its register.
template <FloatRegister R>
constexpr KernelTable KernelTableOf(const char* isa, const KernelTable::MatMulFn* matmul,
                                    decltype(KernelTable::quantize) quantize,
                                    decltype(KernelTable::to_bfloat16) to_bfloat16,
                                    decltype(KernelTable::rope) rope,
                                    decltype(KernelTable::to_half) to_half,
                                    decltype(KernelTable::attention) attention) {
  using Formula = Elementwise<R>;
  return {.isa = isa,
          .matmul = matmul,
          .quantize = quantize,
          .to_bfloat16 = to_bfloat16,
          .rms_norm = Formula::RmsNorm,
          .layer_norm = Formula::LayerNorm,
          .rope = rope,
          .silu_mul = Formula::SiluMul,
          .gelu_mul = Formula::GeluMul,
          .gelu_erf_mul = Formula::GeluErfMul,
          .clamped_silu_mul = Formula::ClampedSiluMul,
          .soft_cap = Formula::SoftCap,
          .sigmoid_mul = Formula::SigmoidMul,
          .mul = Formula::Mul,
          .exps = Formula::Exps,
          .add = Formula::Add,
          .to_half = to_half,
          .attention = attention,
          .convolve = Formula::Convolve,
          .delta_rule = Recall<R>::DeltaRule,
          .state_space = Recall<R>::StateSpace};
}

}  // namespace lockstep
