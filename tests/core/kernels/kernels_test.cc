// Every table of this machine against the scalar one, bit for bit, over odd sizes; and the scalar
// one against double precision.
#include "core/kernels/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "core/kernels/det_math.h"
#include "core/kernels/half.h"
#include "core/kernels/packed_matrix.h"
#include "tests/core/kernels/kernel_table_fixture.h"
#include "tests/support/dequantize.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

class KernelsTest : public KernelTableTest {};

INSTANTIATE_TEST_SUITE_P(Isa, KernelsTest, testing::ValuesIn(TestableKernels()), IsaName);

std::vector<uint8_t> RandomWeights(WeightType type, size_t rows, size_t cols, Random& random) {
  return RandomTensorBytes(random, type, rows * cols, 0.5);
}

PackedMatrix Pack(WeightType type, size_t rows, size_t cols, const std::vector<uint8_t>& file) {
  PackedMatrix w = MakePackedMatrix(type, rows, cols);
  for (size_t p = 0; p < w.panel_count(); ++p) EXPECT_TRUE(PackPanel(file.data(), p, w));
  return w;
}

// Rows of x in every form that a kernel may want.
struct Activations {
  std::vector<float> x;
  std::vector<int8_t> q;
  std::vector<float> scale, sum, sub_sum, rounded;
  std::vector<int32_t> offset, sub_offset;
  std::vector<uint16_t> bf16;
  Activations(const KernelTable& table, std::vector<float> values)
      : x(std::move(values)),
        q(x.size()),
        scale(x.size() / 32),
        sum(x.size() / 32),
        sub_sum(x.size() / 16),
        rounded(x.size()),
        offset(x.size() / 32),
        sub_offset(x.size() / 16),
        bf16(x.size()) {
    table.quantize(
        x.data(), x.size() / 32 * 32,
        {q.data(), scale.data(), offset.data(), sub_offset.data(), sum.data(), sub_sum.data()});
    table.to_bfloat16(x.data(), x.size(), bf16.data(), rounded.data());
  }
  ActivationView View(WeightType type, size_t k) const {
    return {.k = k,
            .f32 = type == WeightType::kBF16 ? rounded.data() : x.data(),
            .stride = k,
            .bf16 = bf16.data(),
            .q = q.data(),
            .scale = scale.data(),
            .offset = offset.data(),
            .sub_offset = sub_offset.data(),
            .sum = sum.data(),
            .sub_sum = sub_sum.data()};
  }
};

constexpr size_t kBeyond = 3;  // floats of a column of y that are nobody's

std::vector<float> Multiply(const KernelTable& table, const PackedMatrix& w, const Activations& x,
                            size_t columns) {
  const size_t ldy = PaddedRows(w.rows) + kBeyond;
  std::vector<float> y(columns * ldy, 7.0f);
  AlignedBuffer<uint8_t> scratch(MatMulScratchBytes(w.cols));
  table.matmul[static_cast<size_t>(w.type)](w.panels.data(), w.panel_count(),
                                            x.View(w.type, w.cols), columns, y.data(), ldy,
                                            scratch.data());
  return y;
}

TEST_P(KernelsTest, MatMulEqualsScalarBitForBit) {
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    const size_t block = std::max<size_t>(32, FileBlock(type));
    for (size_t cols : {block, (block == 256 ? 3 : 9) * block}) {
      for (size_t rows : {1, 33, 80}) {
        const PackedMatrix w = Pack(type, rows, cols, RandomWeights(type, rows, cols, random_));
        constexpr size_t kMost = 79;  // of each size of a tile one at least, in every table
        const Activations x(scalar(), random_.Floats(kMost * cols, -3, 3));
        const std::vector<float> expected = Multiply(scalar(), w, x, kMost);
        for (size_t columns : {1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 16, 17, 33, 65, 79}) {
          std::vector<float> part = expected;
          part.resize(expected.size() / kMost * columns);
          ExpectSameBits(part, Multiply(table(), w, x, columns),
                         std::string(Name(type)) + " " + std::to_string(rows) + "x" +
                             std::to_string(cols) + " by " + std::to_string(columns));
        }
      }
    }
  }
}

TEST_P(KernelsTest, FloatMatMulTakesColumnsThatNoBlockDivides) {
  for (WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16}) {
    for (size_t cols : {1, 7, 33, 64, 100}) {
      const PackedMatrix w = Pack(type, 70, cols, RandomWeights(type, 70, cols, random_));
      for (size_t columns : {1, 6, 9}) {
        const Activations x(scalar(), random_.Floats(columns * cols));
        ExpectSameBits(Multiply(scalar(), w, x, columns), Multiply(table(), w, x, columns),
                       std::string(Name(type)) + " " + std::to_string(cols));
      }
    }
  }
}

// The weights by their formats' own formulas: the packing is part of what is tested.
TEST_P(KernelsTest, MatMulIsCloseToDouble) {
  constexpr size_t kRows = 48, kCols = 512, kColumns = 6;
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    const std::vector<uint8_t> file = RandomWeights(type, kRows, kCols, random_);
    const std::vector<double> weights = Dequantize(FormatOf(type).file.id, file, kRows * kCols);
    const Activations x(table(), random_.Floats(kColumns * kCols));
    const std::vector<float> y = Multiply(table(), Pack(type, kRows, kCols, file), x, kColumns);
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < kColumns; ++c) {
        // What the kernel sees of x must give its result to float precision.
        double exact = 0, magnitude = 0;
        for (size_t k = 0; k < kCols; ++k) {
          const size_t i = c * kCols + k;
          const double seen = IsQuantized(type)           ? x.q[i] * double{x.scale[i / 32]}
                              : type == WeightType::kBF16 ? x.rounded[i]
                                                          : x.x[i];
          exact += weights[r * kCols + k] * seen;
          magnitude += std::fabs(weights[r * kCols + k] * seen);
        }
        EXPECT_NEAR(y[c * (kRows + kBeyond) + r], exact, magnitude * 2e-6)
            << Name(type) << " row " << r;
      }
    }
  }
}

TEST_P(KernelsTest, ExtremeCodesDoNotOverflow) {
  // Every bit of the codes set or clear, the scales made moderate, all activations +-127.
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    if (!IsQuantized(type)) continue;
    for (int fill : {0x80, 0x7f, 0xff, 0x00}) {
      const size_t cols = FileBlock(type);
      PackedMatrix w = Pack(type, 16, cols, std::vector<uint8_t>(16 * FileRowBytes(type, cols)));
      std::memset(w.panels.data(), fill, w.panels.size());
      const uint16_t one = FloatToHalf(1.0f);
      const size_t halves = HalfScaleBytes(FormatOf(type).quant) / 2;
      for (size_t i = 0; i < halves; ++i) std::memcpy(w.panels.data() + 2 * i, &one, 2);
      for (float sign : {1.0f, -1.0f}) {
        for (size_t columns : {1, 8}) {
          const Activations x(table(), std::vector<float>(columns * cols, sign));
          std::vector<float> row(cols);
          DecodeRow(w, 3, row.data());
          double sum = 0, magnitude = 0;
          for (float v : row) sum += v, magnitude += std::fabs(v);
          const double seen = x.q[0] * double{x.scale[0]};  // instead of `sign`
          EXPECT_NEAR(Multiply(table(), w, x, columns)[3], sum * seen, magnitude * 2e-6)
              << Name(type) << " filled with " << fill;
        }
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
  const Activations a(scalar(), x), b(table(), x);
  ExpectSameBits(a.q, b.q, "q");
  ExpectSameBits(a.scale, b.scale, "scale");
  ExpectSameBits(a.offset, b.offset, "offset");
  ExpectSameBits(a.sub_offset, b.sub_offset, "sub_offset");
  ExpectSameBits(a.sum, b.sum, "sum");
  ExpectSameBits(a.sub_sum, b.sub_sum, "sub_sum");
  EXPECT_EQ(b.q[100], 0);
  EXPECT_EQ(b.scale[1], 0.0f);
  EXPECT_EQ(b.scale[2], 0.0f);
  for (size_t i = 192; i < x.size(); ++i) {
    EXPECT_NEAR(b.q[i] * b.scale[i / 32], x[i], b.scale[i / 32] * 0.5001f);
  }
  const int sum = std::accumulate(b.q.begin() + 192, b.q.begin() + 208, 0);
  EXPECT_EQ(b.sub_offset[12], -128 * sum);
  EXPECT_EQ(b.offset[6], b.sub_offset[12] + b.sub_offset[13]);
  EXPECT_EQ(b.sub_sum[12], b.scale[6] * static_cast<float>(sum));
}

TEST_P(KernelsTest, ToBFloat16RoundsToNearestEvenAndFlushesDenormals) {
  std::vector<float> x = random_.Floats(1001, -1e6, 1e6);
  x[0] = std::nanf(""), x[1] = INFINITY, x[2] = -INFINITY, x[3] = 1e-39f, x[4] = -1e-39f;
  x[5] = 3.4e38f, x[6] = -0.0f;
  x[7] = std::bit_cast<float>(0x3f808000u);  // half way: to even, down
  x[8] = std::bit_cast<float>(0x3f818000u);  // half way: to even, up
  const Activations a(scalar(), x), b(table(), x);
  ExpectSameBits(a.bf16, b.bf16, "bf16");
  ExpectSameBits(a.rounded, b.rounded, "rounded");
  EXPECT_TRUE(std::isnan(b.rounded[0]));
  EXPECT_EQ(b.rounded[1], INFINITY);
  EXPECT_EQ(b.bf16[3], 0);
  EXPECT_EQ(b.bf16[4], 0x8000);
  EXPECT_EQ(b.bf16[7], 0x3f80);
  EXPECT_EQ(b.bf16[8], 0x3f82);
  for (size_t i = 9; i < x.size(); ++i) EXPECT_NEAR(b.rounded[i], x[i], std::fabs(x[i]) / 256);
}

// The same on every machine: a denormal operand or result is a zero, but one of half precision is a
// normal float.
TEST_P(KernelsTest, DenormalsAreZerosExceptInHalfPrecision) {
  const std::vector<float> x = {1e-39f, -1e-39f, -1.2e-38f, 1e-39f, 2e-38f};
  std::vector<float> y = {1e-39f, 0.0f, 1.5e-38f, 1.2e-38f, -3e-38f};
  table().add(x.data(), 1.0f, x.size(), y.data());
  EXPECT_EQ(std::bit_cast<uint32_t>(y[0]), 0u);
  EXPECT_EQ(std::bit_cast<uint32_t>(y[1]), 0u);
  EXPECT_EQ(std::bit_cast<uint32_t>(y[2]), 0u) << "a result";
  EXPECT_EQ(y[3], 1.2e-38f);
  EXPECT_EQ(std::bit_cast<uint32_t>(y[4]), 0x80000000u) << "keeps its sign";

  const std::vector<float> small = {0x1p-24f, -0x1.8p-23f, 0x1p-25f, 0x1.8p-25f, 1e-39f};
  std::vector<uint16_t> half(small.size());
  table().to_half(small.data(), small.size(), half.data());
  EXPECT_EQ(half, (std::vector<uint16_t>{1, 0x8003, 0, 1, 0}));

  PackedMatrix w = MakePackedMatrix(WeightType::kF16, 16, 1);
  std::memcpy(w.panels.data(), half.data(), 4);
  EXPECT_EQ(Multiply(table(), w, Activations(table(), {1.0f}), 1)[0], 0x1p-24f);
  EXPECT_EQ(Multiply(table(), w, Activations(table(), {0x1p-102f}), 1)[0], 0x1p-126f);
  EXPECT_EQ(Multiply(table(), w, Activations(table(), {0x1p-103f}), 1)[0], 0.0f);
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

TEST_P(KernelsTest, LayerNorm) {
  for (size_t n : {2, 8, 15, 16, 17, 100, 256, 2048}) {
    const std::vector<float> x = random_.Floats(n, -1, 7), w = random_.Floats(n);
    const std::vector<float> bias = random_.Floats(n);
    std::vector<float> a(n), b = x;
    scalar().layer_norm(x.data(), w.data(), bias.data(), n, 1e-5f, a.data());
    table().layer_norm(b.data(), w.data(), bias.data(), n, 1e-5f, b.data());  // in place
    ExpectSameBits(a, b, "n = " + std::to_string(n));
    const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(n);
    double squares = 0;
    for (float v : x) squares += (v - mean) * (v - mean);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(b[i], (x[i] - mean) * scale * w[i] + bias[i], 2e-5);
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

TEST_P(KernelsTest, GeluMul) {
  std::vector<float> g = random_.Floats(4099, -12, 12), u = random_.Floats(4099);
  g[0] = -1e4f, g[1] = 1e30f, g[2] = 0, g[3] = -1e6f, g[4] = 1e-8f;
  for (const float* by :
       {static_cast<const float*>(u.data()), static_cast<const float*>(nullptr)}) {
    std::vector<float> a(g.size()), b(g.size());
    scalar().gelu_mul(g.data(), by, g.size(), a.data());
    table().gelu_mul(g.data(), by, g.size(), b.data());
    ExpectSameBits(a, b, "gelu");
    for (size_t i = 0; i < g.size(); ++i) {
      const double x = g[i], z = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
      const double exact = x / (1 + std::exp(-2 * z)) * (by != nullptr ? u[i] : 1);
      EXPECT_NEAR(b[i], exact, std::fabs(exact) * 2e-5 + 1e-30) << g[i];
    }
  }
}

TEST_P(KernelsTest, GeluErfMul) {
  std::vector<float> g = random_.Floats(40099, -14, 14), u = random_.Floats(40099);
  g[0] = -1e4f, g[1] = 1e30f, g[2] = 0, g[3] = -1e6f, g[4] = 1e-8f, g[5] = -13.19f, g[6] = 13.19f;
  for (const float* by :
       {static_cast<const float*>(u.data()), static_cast<const float*>(nullptr)}) {
    std::vector<float> a(g.size()), b(g.size());
    scalar().gelu_erf_mul(g.data(), by, g.size(), a.data());
    table().gelu_erf_mul(g.data(), by, g.size(), b.data());
    ExpectSameBits(a, b, "gelu by erf");
    for (size_t i = 0; i < g.size(); ++i) {
      const double x = g[i], factor = by != nullptr ? u[i] : 1;
      const double exact = 0.5 * x * std::erfc(-x * std::sqrt(0.5)) * factor;
      EXPECT_NEAR(b[i], exact, 1.2e-7 * std::max(1.0, std::fabs(x)) * std::fabs(factor) + 1e-30)
          << g[i];
    }
  }
}

TEST_P(KernelsTest, ClampedSiluMul) {
  std::vector<float> g = random_.Floats(4099, -12, 12), u = random_.Floats(4099, -12, 12);
  g[0] = -1e4f, g[1] = 1e30f, g[2] = 0, u[3] = -1e30f, u[4] = 1e30f, g[5] = 7, u[6] = -7;
  std::vector<float> a(g.size()), b(g.size());
  scalar().clamped_silu_mul(g.data(), u.data(), g.size(), a.data());
  table().clamped_silu_mul(g.data(), u.data(), g.size(), b.data());
  ExpectSameBits(a, b, "clamped gate");
  for (size_t i = 0; i < g.size(); ++i) {
    const double gate = std::min(g[i], 7.0f), up = std::clamp(u[i], -7.0f, 7.0f);
    const double exact = gate / (1 + std::exp(-1.702 * gate)) * (up + 1);
    EXPECT_NEAR(b[i], exact, std::fabs(exact) * 2e-6 + 1e-30) << g[i] << " " << u[i];
  }
}

TEST_P(KernelsTest, SoftCap) {
  for (const float cap : {0.5f, 30.0f}) {
    std::vector<float> x = random_.Floats(1003, -100, 100), a, b;
    x[0] = 0, x[1] = 1e30f, x[2] = -1e30f, x[3] = 1e-6f;
    a = b = x;
    scalar().soft_cap(cap, x.size(), a.data());
    table().soft_cap(cap, x.size(), b.data());
    ExpectSameBits(a, b, "soft cap");
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(b[i], cap * std::tanh(double{x[i]} / cap), cap * 4e-7) << x[i];
    }
  }
}

TEST_P(KernelsTest, ExpsHaveTheBitsOfDetExp) {
  std::vector<double> x = {0.0,    -0.0,         1e-300,
                           -708.0, -708.0000001, 708.5,
                           709.0,  -1e300,       -std::numeric_limits<double>::infinity()};
  for (int i = 0; i < 1001; ++i) x.push_back(random_.Float(-760, 709) / (i % 2 == 0 ? 1 : 700));
  for (const size_t n : {size_t{0}, size_t{1}, size_t{3}, size_t{64}, x.size()}) {
    std::vector<double> y(x.begin(), x.begin() + static_cast<ptrdiff_t>(n));
    table().exps(y.data(), n);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ(std::bit_cast<uint64_t>(y[i]), std::bit_cast<uint64_t>(DetExp(x[i]))) << x[i];
    }
  }
}

TEST_P(KernelsTest, AddAndToHalf) {
  for (size_t n : {1, 7, 8, 9, 1000}) {
    const std::vector<float> x = random_.Floats(n, -70000, 70000), y = random_.Floats(n);
    std::vector<float> a, b;
    for (const float by : {0.3f, 1.0f}) {
      a = b = y;
      scalar().add(x.data(), by, n, a.data());
      table().add(x.data(), by, n, b.data());
      ExpectSameBits(a, b, "add");
      EXPECT_EQ(b[n - 1], std::fma(x[n - 1], by, y[n - 1]));
    }
    std::vector<uint16_t> c(n), d(n);
    scalar().to_half(x.data(), n, c.data());
    table().to_half(x.data(), n, d.data());
    ExpectSameBits(c, d, "to_half");
  }
}

}  // namespace
}  // namespace lockstep
