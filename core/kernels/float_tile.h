// Products with panels of float weights, once over registers of floats: a tile of a few panels by a
// few columns, whose sums stay in registers while k is walked through. How many of each hide the
// latency of fma and still fit is up to the files of an instruction set.
#pragma once

#include "core/kernels/formulas.h"

namespace lockstep {

template <class R>
concept FloatWeightRegister = FloatRegister<R> &&
    requires(const uint16_t* halves, const uint8_t* pairs, typename R::Type v) {
  { R::LoadHalves(halves, R::kWidth) } -> std::same_as<typename R::Type>;
  // kWidth pairs of bfloat16: the first of each and the second of each.
  { R::LoadPairs(pairs, v, v) } -> std::same_as<void>;
};

template <FloatWeightRegister R, WeightType type, size_t kPanels, size_t kColumns>
class FloatTile {
 public:
  // y = the panels from w on times the columns of x from `first` on, in the order of kernels.h.
  static void Run(const uint8_t* w, size_t panel_bytes, const ActivationView& x, size_t first,
                  float* y, size_t ldy) {
    T sum[kColumns][kVectors] = {};
    const float* column = x.f32 + first * x.stride;
    if constexpr (type == WeightType::kBF16) {
      SumBlocks(w, panel_bytes, x, column, sum);
    } else {
      for (size_t k = 0; k < x.k; ++k) {
        T weight[kVectors];
        for (size_t v = 0; v < kVectors; ++v) {
          weight[v] =
              Load(w + v / kRegisters * panel_bytes, k * kPanelRows + v % kRegisters * R::kWidth);
        }
        AddProducts(weight, column + k, x.stride, sum);
      }
    }
    for (size_t c = 0; c < kColumns; ++c) {
      for (size_t v = 0; v < kVectors; ++v) {
        R::Store(y + (first + c) * ldy + v * R::kWidth, sum[c][v]);
      }
    }
  }

 private:
  using T = typename R::Type;
  static constexpr size_t kRegisters = kPanelRows / R::kWidth;  // of a panel
  static constexpr size_t kVectors = kPanels * kRegisters;
  using Sums = T[kColumns][kVectors];

  static T Load(const uint8_t* panel, size_t element) {
    if constexpr (type == WeightType::kF32) {
      return R::Load(reinterpret_cast<const float*>(panel) + element);
    } else {
      return R::LoadHalves(reinterpret_cast<const uint16_t*>(panel) + element, R::kWidth);
    }
  }

  // To each column's sums the weights times its x.
  static void AddProducts(const T (&weight)[kVectors], const float* x, size_t stride, Sums& sum) {
    for (size_t c = 0; c < kColumns; ++c) {
      const T value = R::Broadcast(x[c * stride]);
      for (size_t v = 0; v < kVectors; ++v) sum[c][v] = R::Fma(weight[v], value, sum[c][v]);
    }
  }

  // BF16: each 32 of k have a chain of the even and one of the odd.
  static void SumBlocks(const uint8_t* w, size_t panel_bytes, const ActivationView& x,
                        const float* column, Sums& sum) {
    for (size_t begin = 0; begin < x.k; begin += kQuantBlock) {
      Sums even = {}, odd = {};
      const size_t left = x.k - begin < kQuantBlock ? x.k - begin : kQuantBlock;
      if (left == kQuantBlock) {
        for (size_t k = begin; k < begin + kQuantBlock; k += 2) {
          AddPair(w, panel_bytes, column + k, x.stride, k, true, even, odd);
        }
      } else {
        for (size_t k = begin; k < begin + left; k += 2) {
          AddPair(w, panel_bytes, column + k, x.stride, k, k + 1 < x.k, even, odd);
        }
      }
      for (size_t c = 0; c < kColumns; ++c) {
        for (size_t v = 0; v < kVectors; ++v) sum[c][v] = sum[c][v] + (even[c][v] + odd[c][v]);
      }
    }
  }

  // Columns k and, if it is there, k + 1 of the weights.
  static void AddPair(const uint8_t* w, size_t panel_bytes, const float* x, size_t stride, size_t k,
                      bool both, Sums& even, Sums& odd) {
    T first[kVectors], second[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t pair = k / 2 * kPanelRows + v % kRegisters * R::kWidth;
      R::LoadPairs(w + v / kRegisters * panel_bytes + pair * 4, first[v], second[v]);
    }
    AddProducts(first, x, stride, even);
    if (both) AddProducts(second, x + 1, stride, odd);
  }
};

}  // namespace lockstep
