// Every table of this machine against the scalar one, bit for bit, over odd sizes; and the scalar
// one against double precision.
#include "core/kernels/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "core/kernels/cpu_features.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/packed_matrix.h"
#include "tests/support/random.h"

namespace lockstep {
namespace {

class KernelsTest : public testing::TestWithParam<const KernelTable*> {
 protected:
  KernelsTest() { SetComputeFloatMode(); }
  const KernelTable& table() const { return *GetParam(); }
  const KernelTable& scalar() const { return ScalarKernels(); }
  Random random_{42};
};

INSTANTIATE_TEST_SUITE_P(Isa, KernelsTest, testing::ValuesIn(AvailableKernels()),
                         [](const auto& tested) { return std::string(tested.param->isa); });

template <class T>
void ExpectSameBits(const std::vector<T>& a, const std::vector<T>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof(T)), 0)
        << what << ", element " << i << ": " << a[i] << " and " << b[i];
  }
}

// Random file bytes of a weight type with scales and values of moderate size.
std::vector<uint8_t> RandomWeights(WeightType type, size_t rows, size_t cols, Random& random) {
  std::vector<uint8_t> file(rows * FileRowBytes(type, cols));
  for (uint8_t& byte : file) byte = static_cast<uint8_t>(random.Next());
  const auto put = [&](size_t at, uint16_t half) { std::memcpy(&file[at], &half, 2); };
  if (IsQuantised(type)) {
    for (size_t at = 0; at < file.size(); at += FileRowBytes(type, kQuantBlock)) {
      put(at, FloatToHalf(random.Float(-0.1f, 0.1f)));
    }
  } else if (type == WeightType::kF32) {
    for (size_t i = 0; i < rows * cols; ++i) {
      const float v = random.Float(-1, 1);
      std::memcpy(&file[4 * i], &v, 4);
    }
  } else {
    for (size_t i = 0; i < rows * cols; ++i) {
      const float v = random.Float(-1, 1);
      uint32_t bits;
      std::memcpy(&bits, &v, 4);
      put(2 * i, type == WeightType::kF16 ? FloatToHalf(v) : static_cast<uint16_t>(bits >> 16));
    }
  }
  return file;
}

PackedMatrix Pack(WeightType type, size_t rows, size_t cols, const std::vector<uint8_t>& file) {
  PackedMatrix w = MakePackedMatrix(type, rows, cols);
  for (size_t p = 0; p < w.panel_count(); ++p) EXPECT_TRUE(PackPanel(file.data(), p, w));
  return w;
}

struct Quantised {
  std::vector<int8_t> q;
  std::vector<float> scale;
  std::vector<int32_t> sum;
  Quantised(const KernelTable& table, const std::vector<float>& x)
      : q(x.size()), scale(x.size() / kQuantBlock), sum(scale.size()) {
    table.quantize(x.data(), x.size(), q.data(), scale.data(), sum.data());
  }
};

std::vector<float> Multiply(const KernelTable& table, const PackedMatrix& w,
                            const std::vector<float>& x, const Quantised& quantised,
                            size_t columns) {
  const size_t ldy = PaddedRows(w.rows) + 3;
  std::vector<float> y(columns * ldy, 7.0f);
  const ActivationView view = {.f32 = x.data(),
                               .q = quantised.q.data(),
                               .scale = quantised.scale.data(),
                               .sum = quantised.sum.data(),
                               .k = w.cols,
                               .stride = w.cols};
  table.matmul[static_cast<size_t>(w.type)](w.panels.data(), w.panel_count(), view, 0, columns,
                                            y.data(), ldy);
  return y;
}

TEST_P(KernelsTest, MatMulEqualsScalarBitForBit) {
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    for (size_t rows : {1, 16, 33, 80, 129}) {
      for (size_t cols : {32, 64, 96, 288, 1024}) {
        for (size_t columns : {1, 2, 3, 4, 5, 9}) {
          const PackedMatrix w = Pack(type, rows, cols, RandomWeights(type, rows, cols, random_));
          const std::vector<float> x = random_.Floats(columns * cols, -3, 3);
          const Quantised q(scalar(), x);
          ExpectSameBits(Multiply(scalar(), w, x, q, columns), Multiply(table(), w, x, q, columns),
                         std::string(Name(type)) + " " + std::to_string(rows) + "x" +
                             std::to_string(cols) + " by " + std::to_string(columns));
        }
      }
    }
  }
}

TEST_P(KernelsTest, FloatMatMulTakesColumnsThatNoBlockDivides) {
  for (WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16}) {
    for (size_t cols : {1, 7, 33, 100}) {
      const PackedMatrix w = Pack(type, 70, cols, RandomWeights(type, 70, cols, random_));
      const std::vector<float> x = random_.Floats(6 * cols);
      const Quantised none(scalar(), {});
      ExpectSameBits(Multiply(scalar(), w, x, none, 6), Multiply(table(), w, x, none, 6),
                     std::string(Name(type)) + " " + std::to_string(cols));
    }
  }
}

TEST_P(KernelsTest, MatMulIsCloseToDouble) {
  constexpr size_t kRows = 48, kCols = 512, kColumns = 3;
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    const PackedMatrix w = Pack(type, kRows, kCols, RandomWeights(type, kRows, kCols, random_));
    const std::vector<float> x = random_.Floats(kColumns * kCols);
    const Quantised q(table(), x);
    const std::vector<float> y = Multiply(table(), w, x, q, kColumns);
    for (size_t r = 0; r < kRows; ++r) {
      std::vector<float> row(kCols);
      DecodeRow(w, r, row.data());
      for (size_t c = 0; c < kColumns; ++c) {
        double exact = 0, magnitude = 0, quantisation = 0;
        for (size_t k = 0; k < kCols; ++k) {
          exact += static_cast<double>(row[k]) * x[c * kCols + k];
          magnitude += std::fabs(static_cast<double>(row[k]) * x[c * kCols + k]);
          quantisation += std::fabs(row[k]) * q.scale[(c * kCols + k) / kQuantBlock] / 2;
        }
        const double bound = (IsQuantised(type) ? quantisation : 0) + magnitude * 1e-5;
        EXPECT_NEAR(y[c * (kRows + 3) + r], exact, bound) << Name(type) << " row " << r;
      }
    }
  }
}

TEST_P(KernelsTest, ExtremeCodesDoNotOverflow) {
  // All weights -128 (Q8_0) or code 15 / 0 (Q4_0), all activations +-127.
  for (WeightType type : {WeightType::kQ8_0, WeightType::kQ4_0}) {
    for (int fill : {0x80, 0x7f, 0xff, 0x00}) {
      std::vector<uint8_t> file(16 * FileRowBytes(type, 64), static_cast<uint8_t>(fill));
      const uint16_t one = FloatToHalf(1.0f);
      for (size_t at = 0; at < file.size(); at += FileRowBytes(type, kQuantBlock)) {
        std::memcpy(&file[at], &one, 2);
      }
      const PackedMatrix w = Pack(type, 16, 64, file);
      for (float sign : {1.0f, -1.0f}) {
        const std::vector<float> x(64, sign);
        const Quantised q(table(), x);
        std::vector<float> row(64);
        DecodeRow(w, 3, row.data());
        const float sum = std::accumulate(row.begin(), row.end(), 0.0f);
        EXPECT_FLOAT_EQ(Multiply(table(), w, x, q, 1)[3], sum * sign);
      }
    }
  }
}

TEST_P(KernelsTest, QuantizeEqualsScalarAndIsRight) {
  std::vector<float> x = random_.Floats(32 * 50, -100, 100);
  for (size_t i = 32; i < 64; ++i) x[i] = 0.0f;
  for (size_t i = 64; i < 96; ++i) x[i] *= 1e-32f;
  x[100] = std::nanf("");
  x[130] = INFINITY;
  for (size_t i = 160; i < 192; ++i) x[i] = static_cast<float>(i) - 175.5f;  // ties
  const Quantised a(scalar(), x), b(table(), x);
  ExpectSameBits(a.q, b.q, "q");
  ExpectSameBits(a.scale, b.scale, "scale");
  ExpectSameBits(a.sum, b.sum, "sum");
  EXPECT_EQ(b.q[100], 0);
  EXPECT_EQ(b.scale[1], 0.0f);
  EXPECT_EQ(b.scale[2], 0.0f);
  for (size_t i = 192; i < x.size(); ++i) {
    EXPECT_NEAR(b.q[i] * b.scale[i / 32], x[i], b.scale[i / 32] * 0.5001f);
  }
}

TEST_P(KernelsTest, RmsNorm) {
  for (size_t n : {1, 8, 15, 16, 17, 100, 256, 2048}) {
    const std::vector<float> x = random_.Floats(n, -4, 4), w = random_.Floats(n);
    std::vector<float> a(n), b(n);
    scalar().rms_norm(x.data(), w.data(), n, 1e-5f, a.data());
    table().rms_norm(x.data(), w.data(), n, 1e-5f, b.data());
    ExpectSameBits(a, b, "n = " + std::to_string(n));
    double squares = 0;
    for (float v : x) squares += static_cast<double>(v) * v;
    for (size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(b[i], x[i] / std::sqrt(squares / static_cast<double>(n) + 1e-5) * w[i], 1e-5);
    }
  }
}

TEST_P(KernelsTest, RopeRotatesPairs) {
  for (size_t pairs : {1, 4, 5, 16, 23}) {
    const size_t head_dim = 2 * pairs + 6, heads = 3;
    std::vector<float> cos(pairs), sin(pairs), x = random_.Floats(heads * head_dim);
    for (size_t i = 0; i < pairs; ++i) {
      const float angle = random_.Float(-3, 3);
      cos[i] = std::cos(angle), sin[i] = std::sin(angle);
    }
    std::vector<float> a = x, b = x;
    scalar().rope(a.data(), heads, head_dim, cos.data(), sin.data(), pairs);
    table().rope(b.data(), heads, head_dim, cos.data(), sin.data(), pairs);
    ExpectSameBits(a, b, "pairs = " + std::to_string(pairs));
    const size_t last = (heads - 1) * head_dim + 2 * (pairs - 1);
    EXPECT_NEAR(b[last], x[last] * cos.back() - x[last + 1] * sin.back(), 1e-6);
    EXPECT_NEAR(b[last + 1], x[last] * sin.back() + x[last + 1] * cos.back(), 1e-6);
    EXPECT_EQ(b[heads * head_dim - 1], x[heads * head_dim - 1]) << "beyond the rotated part";
  }
}

TEST_P(KernelsTest, SiluMul) {
  std::vector<float> g = random_.Floats(4099, -100, 100), u = random_.Floats(4099);
  g[0] = -1e4f, g[1] = 1e30f, g[2] = 0, g[3] = -88.5f, g[4] = 87.4f, g[5] = -86.9999f;
  std::vector<float> a(g.size()), b(g.size());
  scalar().silu_mul(g.data(), u.data(), g.size(), a.data());
  table().silu_mul(g.data(), u.data(), g.size(), b.data());
  ExpectSameBits(a, b, "silu");
  for (size_t i = 0; i < g.size(); ++i) {
    const double exact = g[i] / (1.0 + std::exp(-static_cast<double>(g[i]))) * u[i];
    EXPECT_NEAR(b[i], exact, std::fabs(exact) * 1e-6 + 1e-30) << g[i];
  }
}

TEST_P(KernelsTest, AddAndToHalf) {
  for (size_t n : {1, 7, 8, 9, 1000}) {
    const std::vector<float> x = random_.Floats(n, -70000, 70000), y = random_.Floats(n);
    std::vector<float> a = y, b = y;
    scalar().add(x.data(), n, a.data());
    table().add(x.data(), n, b.data());
    ExpectSameBits(a, b, "add");
    EXPECT_EQ(b[n - 1], y[n - 1] + x[n - 1]);
    std::vector<uint16_t> c(n), d(n);
    scalar().to_half(x.data(), n, c.data());
    table().to_half(x.data(), n, d.data());
    ExpectSameBits(c, d, "to_half");
  }
}

struct Cache {
  std::vector<uint16_t> keys, values;           // in the KV cache's layout
  std::vector<float> plain_keys, plain_values;  // [length][head_dim]
  Cache(size_t length, size_t head_dim, Random& random)
      : keys((length + 15) / 16 * 16 * head_dim, 0x7e00),  // NaN where nothing was stored
        values(length * head_dim),
        plain_keys(length * head_dim),
        plain_values(length * head_dim) {
    for (size_t p = 0; p < length; ++p) {
      for (size_t d = 0; d < head_dim; ++d) {
        const uint16_t key = FloatToHalf(random.Float(-1, 1));
        const uint16_t value = FloatToHalf(random.Float(-1, 1));
        keys[(p / 16 * head_dim + d) * 16 + p % 16] = key;
        values[p * head_dim + d] = value;
        plain_keys[p * head_dim + d] = HalfToFloat(key);
        plain_values[p * head_dim + d] = HalfToFloat(value);
      }
    }
  }
};

TEST_P(KernelsTest, AttentionEqualsScalarAndIsCloseToDouble) {
  for (size_t head_dim : {4, 20, 32, 64, 76, 128}) {
    for (size_t length : {1, 15, 16, 17, 63, 64, 65, 200}) {
      for (size_t heads : {1, 3}) {
        const Cache cache(length, head_dim, random_);
        const std::vector<float> q = random_.Floats(heads * head_dim, -8, 8);
        std::vector<float> a(q.size()), b(q.size());
        AttentionJob job = {.q = q.data(),
                            .heads = heads,
                            .head_dim = head_dim,
                            .keys = cache.keys.data(),
                            .values = cache.values.data(),
                            .length = length,
                            .scale = 0.4f,
                            .out = a.data()};
        scalar().attention(job);
        job.out = b.data();
        table().attention(job);
        ExpectSameBits(
            a, b, "head_dim " + std::to_string(head_dim) + ", length " + std::to_string(length));
        for (size_t h = 0; h < heads; ++h) {
          std::vector<double> weight(length);
          double total = 0;
          for (size_t p = 0; p < length; ++p) {
            double dot = 0;
            for (size_t d = 0; d < head_dim; ++d) {
              dot += static_cast<double>(q[h * head_dim + d]) * cache.plain_keys[p * head_dim + d];
            }
            total += weight[p] = std::exp(dot * 0.4f);
          }
          for (size_t d = 0; d < head_dim; ++d) {
            double exact = 0;
            for (size_t p = 0; p < length; ++p) {
              exact += weight[p] / total * cache.plain_values[p * head_dim + d];
            }
            EXPECT_NEAR(b[h * head_dim + d], exact, 2e-5);
          }
        }
      }
    }
  }
}

TEST(DispatchTest, AutoChoosesATableThatAgreesWithScalar) {
  SetComputeFloatMode();
  const KernelChoice choice = ChooseKernels("auto");
  ASSERT_NE(choice.kernels, nullptr);
  EXPECT_EQ(choice.rejected, nullptr);
  EXPECT_TRUE(SameAnswers(*choice.kernels, ScalarKernels()));
  EXPECT_STREQ(ChooseKernels("scalar").kernels->isa, "scalar");
  EXPECT_EQ(ChooseKernels("sse9").kernels, nullptr);
}

TEST(DispatchTest, AWrongKernelIsNoticed) {
  KernelTable wrong = ScalarKernels();
  wrong.add = [](const float* x, size_t n, float* y) {
    for (size_t i = 0; i < n; ++i) y[i] = std::nextafter(y[i] + x[i], 1e9f);
  };
  EXPECT_FALSE(SameAnswers(wrong, ScalarKernels()));
}

}  // namespace
}  // namespace lockstep
