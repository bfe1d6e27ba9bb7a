// The kernels of recurrent layers: every table against the scalar one, bit for bit, and that one
// against double precision.
#include <cmath>
#include <vector>

#include "core/kernels/aligned_buffer.h"
#include "tests/core/kernels/kernel_table_fixture.h"

namespace lockstep {
namespace {

class RecurrenceTest : public KernelTableTest {};

INSTANTIATE_TEST_SUITE_P(Isa, RecurrenceTest, testing::ValuesIn(TestableKernels()), IsaName);

TEST_P(RecurrenceTest, SigmoidMul) {
  std::vector<float> g = random_.Floats(1003, -100, 100), u = random_.Floats(1003);
  g[0] = -1e4f, g[1] = 1e30f, g[2] = 0;
  std::vector<float> a(g.size()), b(g.size());
  scalar().sigmoid_mul(g.data(), u.data(), g.size(), a.data());
  table().sigmoid_mul(g.data(), u.data(), g.size(), b.data());
  ExpectSameBits(a, b, "sigmoid");
  for (size_t i = 0; i < g.size(); ++i) {
    const double exact = u[i] / (1.0 + std::exp(-static_cast<double>(g[i])));
    EXPECT_NEAR(b[i], exact, std::fabs(exact) * 1e-6 + 1e-30) << g[i];
  }
}

TEST_P(RecurrenceTest, Mul) {
  for (size_t n : {1, 7, 8, 9, 1000}) {
    const std::vector<float> x = random_.Floats(n), y = random_.Floats(n);
    std::vector<float> b = y;
    table().mul(x.data(), n, b.data());
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(b[i], x[i] * y[i]) << n << ' ' << i;
  }
}

TEST_P(RecurrenceTest, ConvolveWeighsTheTapsOfEachChannel) {
  for (size_t n : {1, 15, 33, 200}) {
    for (size_t taps : {1, 3, 4, 7}) {
      const size_t stride = n + 5;
      const std::vector<float> w = random_.Floats(taps * stride), x = random_.Floats(taps * n);
      std::vector<const float*> rows;
      for (size_t j = 0; j < taps; ++j) rows.push_back(x.data() + j * n);
      std::vector<float> a(n), b(n);
      scalar().convolve(rows.data(), w.data(), stride, taps, n, a.data());
      table().convolve(rows.data(), w.data(), stride, taps, n, b.data());
      ExpectSameBits(a, b, "convolve");
      for (size_t i = 0; i < n; ++i) {
        double exact = 0;
        for (size_t j = 0; j < taps; ++j) exact += double{w[j * stride + i]} * x[j * n + i];
        EXPECT_NEAR(b[i], exact, 1e-5);
      }
    }
  }
}

// Two rules, and in double, with a matrix whose rows are values.
struct Rule {
  const char* name;
  decltype(KernelTable::delta_rule) KernelTable::*kernel;
  bool corrects;  // what the state says of the key already
};
constexpr Rule kRules[] = {{"delta_rule", &KernelTable::delta_rule, true},
                           {"state_space", &KernelTable::state_space, false}};

struct ExactRule {
  bool corrects;
  std::vector<std::vector<double>> m;
  std::vector<double> Step(const float* q, const float* k, const float* v, double decay,
                           double beta) {
    std::vector<double> out(m.size());
    for (size_t i = 0; i < m.size(); ++i) {
      double known = 0;
      for (size_t j = 0; j < m[i].size(); ++j) known += (m[i][j] *= decay) * k[j];
      const double d = beta * (corrects ? v[i] - known : v[i]);
      for (size_t j = 0; j < m[i].size(); ++j) out[i] += (m[i][j] += d * k[j]) * q[j];
    }
    return out;
  }
};

struct Result {
  explicit Result(size_t keys, size_t rows) : state(keys * kLanes), out(rows * kLanes) {}
  AlignedBuffer<float> state;
  std::vector<float> out;
};

TEST_P(RecurrenceTest, RulesWriteAndReadTheState) {
  for (size_t keys : {4, 16, 128}) {
    constexpr size_t kRows = 9;
    const size_t stride = 2 * keys + kLanes + 3;
    const std::vector<float> x = random_.Floats(kRows * stride, -0.3f, 0.3f);
    const std::vector<float> decay = random_.Floats(kRows, 0.5f, 1), beta = random_.Floats(kRows);
    for (const Rule& rule : kRules) {
      const auto run = [&](const KernelTable& kernels, size_t chunk) {
        Result result(keys, kRows);
        for (size_t row = 0; row < kRows; row += chunk) {
          const float* rows = x.data() + row * stride;
          (kernels.*rule.kernel)({.state = result.state.data(),
                                  .q = rows,
                                  .k = rows + keys,
                                  .v = rows + 2 * keys,
                                  .stride = stride,
                                  .rows = std::min(chunk, kRows - row),
                                  .keys = keys,
                                  .decay = decay.data() + row,
                                  .beta = beta.data() + row,
                                  .gate_stride = 1,
                                  .out = result.out.data() + row * kLanes,
                                  .out_stride = kLanes});
        }
        return result;
      };
      const Result a = run(scalar(), kRows);
      for (size_t chunk : {1, 4, 9}) {
        const Result b = run(table(), chunk);
        ExpectSameBits(a.out, b.out, rule.name);
        for (size_t i = 0; i < a.state.size(); ++i) ASSERT_EQ(a.state[i], b.state[i]) << i;
      }
      ExactRule exact{rule.corrects, {kLanes, std::vector<double>(keys)}};
      for (size_t row = 0; row < kRows; ++row) {
        const float* q = x.data() + row * stride;
        const auto out = exact.Step(q, q + keys, q + 2 * keys, decay[row], beta[row]);
        for (size_t i = 0; i < kLanes; ++i) {
          EXPECT_NEAR(a.out[row * kLanes + i], out[i], 1e-5) << rule.name;
        }
      }
      for (size_t i = 0; i < kLanes; ++i) {
        for (size_t j = 0; j < keys; ++j) EXPECT_NEAR(a.state[j * kLanes + i], exact.m[i][j], 1e-5);
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
