// Every table's attention against the scalar one's, bit for bit, over odd sizes and windows; and
// the scalar one's against double precision.
#include "core/kernels/attention_walk.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/half.h"
#include "tests/core/kernels/kernel_table_fixture.h"

namespace lockstep {
namespace {

// Random keys and values of one head in the KV cache's layout, and what they stand for. Positions
// that were not stored hold NaN.
struct Cache {
  KvType type;
  size_t stride;
  std::vector<uint8_t> blocks;
  std::vector<float> plain_keys, plain_values;  // [length][head_dim]
  Cache(KvType kv_type, size_t length, size_t head_dim, Random& random)
      : type(kv_type),
        stride(KvBlockBytes(kv_type, head_dim) + 64),
        blocks((length + 63) / 64 * stride),
        plain_keys(length * head_dim),
        plain_values(length * head_dim) {
    const size_t scales = head_dim / 32;
    std::vector<uint16_t> nan(blocks.size() / 2, 0x7e00);
    std::memcpy(blocks.data(), nan.data(), blocks.size());
    for (size_t p = 0; p < length; ++p) {
      const KvBlock kv = BlockAt(type, blocks.data() + p / 64 * stride, head_dim);
      const size_t in = p % 64, group = in / 16, lane = p % 16;
      const auto half = [](const void* halves, size_t i) -> uint16_t& {
        return static_cast<uint16_t*>(const_cast<void*>(halves))[i];
      };
      const auto byte = [](const void* bytes, size_t i) -> int8_t& {
        return static_cast<int8_t*>(const_cast<void*>(bytes))[i];
      };
      for (size_t b = 0; type == KvType::kQ8_0 && b < scales; ++b) {
        half(kv.key_scales, (group * scales + b) * 16 + lane) = FloatToHalf(random.Float(0, 0.01f));
        half(kv.value_scales, in * scales + b) = FloatToHalf(random.Float(0, 0.01f));
      }
      for (size_t d = 0; d < head_dim; ++d) {
        const size_t key = (group * head_dim + d) * 16 + lane, value = in * head_dim + d;
        float& plain_key = plain_keys[p * head_dim + d];
        float& plain_value = plain_values[p * head_dim + d];
        if (type == KvType::kF16) {
          plain_key = HalfToFloat(half(kv.keys, key) = FloatToHalf(random.Float(-1, 1)));
          plain_value = HalfToFloat(half(kv.values, value) = FloatToHalf(random.Float(-1, 1)));
        } else {
          plain_key = (byte(kv.keys, key) = static_cast<int8_t>(random.Next())) *
                      HalfToFloat(kv.key_scales[(group * scales + d / 32) * 16 + lane]);
          plain_value = (byte(kv.values, value) = static_cast<int8_t>(random.Next())) *
                        HalfToFloat(kv.value_scales[in * scales + d / 32]);
        }
      }
    }
  }
  KvView View() const { return {type, blocks.data(), stride}; }
};

// Softmax attention of one query over the positions [begin, length).
std::vector<double> PlainAttention(const Cache& cache, const float* q, size_t head_dim,
                                   size_t begin, size_t length, double scale, double cap) {
  std::vector<double> weight(length), out(head_dim);
  double total = 0;
  for (size_t p = begin; p < length; ++p) {
    double score = 0;
    for (size_t d = 0; d < head_dim; ++d) {
      score += double{q[d]} * cache.plain_keys[p * head_dim + d];
    }
    score *= scale;
    total += weight[p] = std::exp(cap != 0 ? cap * std::tanh(score / cap) : score);
  }
  for (size_t p = begin; p < length; ++p) {
    for (size_t d = 0; d < head_dim; ++d) {
      out[d] += weight[p] / total * cache.plain_values[p * head_dim + d];
    }
  }
  return out;
}

struct AttentionCase {
  KvType type;
  size_t head_dim, length, rows, heads;
  size_t window = 0;
  float soft_cap = 0;
};

class AttentionTest : public KernelTableTest {};

INSTANTIATE_TEST_SUITE_P(Isa, AttentionTest, testing::ValuesIn(TestableKernels()), IsaName);

TEST_P(AttentionTest, EqualsScalarAndIsCloseToDouble) {
  std::vector<AttentionCase> cases;
  for (size_t head_dim : {4, 20, 32, 64, 80, 128}) {
    for (size_t length : {1, 15, 17, 63, 64, 65, 200}) {
      for (size_t heads : {1, 3}) cases.push_back({KvType::kF16, head_dim, length, 1, heads});
      cases.push_back({KvType::kF16, head_dim, length, 5, 2});
    }
    cases.push_back({KvType::kF16, head_dim, 50, 70, 3});
    if (head_dim % 32 != 0) continue;
    for (size_t length : {1, 17, 65, 200}) cases.push_back({KvType::kQ8_0, head_dim, length, 3, 4});
  }
  for (size_t window : {1, 15, 64, 65, 150}) {
    for (size_t length : {1, 60, 200}) {
      cases.push_back({KvType::kF16, 32, length, 9, 1, window});
      cases.push_back({KvType::kF16, 20, length, 70, 3, window});
      cases.push_back({KvType::kQ8_0, 32, length, 3, 2, window, 2.0f});
    }
  }
  cases.push_back({KvType::kF16, 64, 100, 5, 2, 0, 3.0f});
  for (const auto& [type, head_dim, length, rows, heads, window, soft_cap] : cases) {
    Cache cache(type, length + rows - 1, head_dim, random_);
    if (window != 0 && window < length) {  // what is outside of every window is not looked at
      std::memset(cache.blocks.data(), 0xff, (length - window) / 64 * cache.stride);
    }
    const size_t stride = heads * head_dim + 5;
    const std::vector<float> q = random_.Floats(rows * stride, -8, 8);
    std::vector<float> a(q.size()), b(q.size());
    AlignedBuffer<float> scratch(AttentionScratchFloats(head_dim));
    for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = NAN;  // whatever was there before
    AttentionJob job = {.q = q.data(),
                        .out = a.data(),
                        .stride = stride,
                        .rows = rows,
                        .heads = heads,
                        .head_dim = head_dim,
                        .kv = cache.View(),
                        .length = length,
                        .scale = 0.4f,
                        .scratch = scratch.data(),
                        .window = window,
                        .soft_cap = soft_cap};
    scalar().attention(job);
    job.out = b.data();
    table().attention(job);
    const std::string what = "head_dim " + std::to_string(head_dim) + ", length " +
                             std::to_string(length) + ", rows " + std::to_string(rows) +
                             ", window " + std::to_string(window);
    ExpectSameBits(a, b, what);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t h = 0; h < heads; ++h) {
        const size_t at = row * stride + h * head_dim;
        const auto exact = PlainAttention(cache, &q[at], head_dim, job.First(row), length + row,
                                          job.scale, soft_cap);
        for (size_t d = 0; d < head_dim; ++d) EXPECT_NEAR(b[at + d], exact[d], 3e-5) << what;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
