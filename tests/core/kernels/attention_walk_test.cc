// Every table's attention against the scalar one's, bit for bit, over odd sizes and windows; and
// the scalar one's against double precision.
#include "core/kernels/attention_walk.h"

#include <algorithm>
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
  std::vector<float> plain_keys, plain_values;  // [length][head.key], [length][head.value]
  Cache(KvType kv_type, size_t length, const HeadShape& head, Random& random)
      : type(kv_type),
        stride(KvBlockBytes(kv_type, head) + 64),
        blocks((length + 63) / 64 * stride),
        plain_keys(length * head.key),
        plain_values(length * head.value) {
    std::vector<uint16_t> nan(blocks.size() / 2, 0x7e00);
    std::memcpy(blocks.data(), nan.data(), blocks.size());
    for (size_t p = 0; p < length; ++p) {
      const KvBlock kv = BlockAt(type, blocks.data() + p / 64 * stride, head);
      const size_t in = p % 64, group = in / 16, lane = p % 16;
      const auto half = [](const void* halves, size_t i) -> uint16_t& {
        return static_cast<uint16_t*>(const_cast<void*>(halves))[i];
      };
      const auto byte = [](const void* bytes, size_t i) -> int8_t& {
        return static_cast<int8_t*>(const_cast<void*>(bytes))[i];
      };
      // Values `bits` and scales of one vector, by where dimension d and block b of it are; and in
      // which byte, and which half of it, the dimension is where it has four bits.
      struct Half {
        size_t byte;
        bool upper;
      };
      const auto fill = [&](float* plain, size_t n, const void* bits, const void* scales,
                            const auto& at, const auto& half_at, const auto& scale_at) {
        for (size_t d = 0; d < n; ++d) {
          if (type == KvType::kF16) {
            plain[d] = HalfToFloat(half(bits, at(d)) = FloatToHalf(random.Float(-1, 1)));
            continue;
          }
          uint16_t& scale = half(scales, scale_at(d / 32));
          if (d % 32 == 0)
            scale = FloatToHalf(random.Float(0, type == KvType::kQ8_0 ? 0.01f : 0.2f));
          if (type == KvType::kQ4_0) {
            const Half where = half_at(d);
            int8_t& both = byte(bits, where.byte);
            const int value = static_cast<int>(random.Next() % 16);
            both =
                static_cast<int8_t>(where.upper ? (both & 15) | value << 4 : (both & ~15) | value);
            plain[d] = static_cast<float>(value - 8) * HalfToFloat(scale);
            continue;
          }
          plain[d] = (byte(bits, at(d)) = static_cast<int8_t>(random.Next())) * HalfToFloat(scale);
        }
      };
      fill(
          &plain_keys[p * head.key], head.key, kv.keys, kv.key_scales,
          [&](size_t d) { return (group * head.key + d) * 16 + lane; },
          [&](size_t d) {
            return Half{(group * head.key / 2 + d / 2) * 16 + lane, d % 2 == 1};
          },
          [&](size_t b) { return (group * (head.key / 32) + b) * 16 + lane; });
      if (head.value_in_key) {
        std::copy_n(&plain_keys[p * head.key], head.value, &plain_values[p * head.value]);
      } else {
        fill(
            &plain_values[p * head.value], head.value, kv.values, kv.value_scales,
            [&](size_t d) { return in * head.value + d; },
            [&](size_t d) {
              return Half{in * head.value / 2 + d / 32 * 16 + d % 16, d % 32 >= 16};
            },
            [&](size_t b) { return in * (head.value / 32) + b; });
      }
    }
  }
  KvView View() const { return {type, blocks.data(), stride}; }
};

// Softmax attention of one query over the positions [begin, length).
std::vector<double> PlainAttention(const Cache& cache, const float* q, const HeadShape& head,
                                   size_t begin, size_t length, double scale, double cap,
                                   const float* sink) {
  std::vector<double> weight(length), out(head.value);
  double total = sink != nullptr ? std::exp(double{*sink}) : 0;
  for (size_t p = begin; p < length; ++p) {
    double score = 0;
    for (size_t d = 0; d < head.key; ++d) {
      score += double{q[d]} * cache.plain_keys[p * head.key + d];
    }
    score *= scale;
    total += weight[p] = std::exp(cap != 0 ? cap * std::tanh(score / cap) : score);
  }
  for (size_t p = begin; p < length; ++p) {
    for (size_t d = 0; d < head.value; ++d) {
      out[d] += weight[p] / total * cache.plain_values[p * head.value + d];
    }
  }
  return out;
}

struct AttentionCase {
  KvType type;
  HeadShape head;
  size_t length, rows, heads;
  size_t window = 0;
  float soft_cap = 0;
  bool sinks = false;
};

class AttentionTest : public KernelTableTest {
 protected:
  // A job of rows of queries, whose cache or rows of floats are yet to be said.
  static AttentionJob JobOf(const std::vector<float>& q, size_t rows, size_t heads,
                            const HeadShape& head, size_t out_stride) {
    return {.q = q.data(),
            .q_stride = q.size() / rows,
            .out = nullptr,
            .out_stride = out_stride,
            .rows = rows,
            .heads = heads,
            .head = head,
            .kv = {},
            .length = 1,
            .scale = 1,
            .scratch = nullptr};
  }
  // What the table makes of the job, which the scalar one must make of it, too, bit for bit. Output
  // and scratch are given here.
  std::vector<float> Attended(AttentionJob job, const std::string& what) const {
    AlignedBuffer<float> scratch(AttentionScratchFloats(job.head));
    for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = NAN;  // whatever was there before
    job.scratch = scratch.data();
    std::vector<float> wanted(job.rows * job.out_stride), out(wanted.size());
    job.out = wanted.data();
    scalar().attention(job);
    job.out = out.data();
    table().attention(job);
    ExpectSameBits(wanted, out, what);
    return out;
  }
};

INSTANTIATE_TEST_SUITE_P(Isa, AttentionTest, testing::ValuesIn(TestableKernels()), IsaName);

TEST_P(AttentionTest, EqualsScalarAndIsCloseToDouble) {
  std::vector<AttentionCase> cases;
  for (size_t head_dim : {4, 20, 32, 64, 80, 128}) {
    const HeadShape head = {.key = head_dim, .value = head_dim};
    for (size_t length : {1, 15, 17, 63, 64, 65, 200}) {
      for (size_t heads : {1, 3}) cases.push_back({KvType::kF16, head, length, 1, heads});
      cases.push_back({KvType::kF16, head, length, 5, 2});
    }
    cases.push_back({KvType::kF16, head, 50, 70, 3});
    if (head_dim % 32 != 0) continue;
    for (size_t length : {1, 17, 65, 200}) {
      for (const KvType type : {KvType::kQ8_0, KvType::kQ4_0}) {
        cases.push_back({type, head, length, 3, 4});
        cases.push_back({type, head, length, 1, 1});
      }
    }
  }
  for (size_t window : {1, 15, 64, 65, 150}) {
    for (size_t length : {1, 60, 200}) {
      cases.push_back({KvType::kF16, {32, 32}, length, 9, 1, window});
      cases.push_back({KvType::kF16, {20, 20}, length, 70, 3, window});
      cases.push_back({KvType::kQ8_0, {32, 32}, length, 3, 2, window, 2.0f});
      cases.push_back({KvType::kQ4_0, {32, 32}, length, 3, 2, window, 2.0f});
      cases.push_back({KvType::kF16, {32, 32}, length, 40, 3, window, 0, true});
    }
  }
  cases.push_back({KvType::kF16, {64, 64}, 100, 5, 2, 0, 3.0f});
  // Value vectors of a size of their own, or in the keys.
  for (size_t length : {1, 17, 64, 130}) {
    for (size_t rows : {1, 5, 30}) {
      cases.push_back({KvType::kF16, {48, 20}, length, rows, 3});
      cases.push_back({KvType::kF16, {20, 52}, length, rows, 2, 0, 0, true});
      cases.push_back({KvType::kQ8_0, {96, 32}, length, rows, 2});
      cases.push_back({KvType::kQ4_0, {96, 32}, length, rows, 2});
      cases.push_back({KvType::kF16, {52, 36, true}, length, rows, 4});
      cases.push_back({KvType::kF16, {52, 52, true}, length, rows, 1, 30});
      cases.push_back({KvType::kQ8_0, {96, 64, true}, length, rows, 3});
      cases.push_back({KvType::kQ4_0, {96, 64, true}, length, rows, 3});
    }
  }
  for (const auto& [type, head, length, rows, heads, window, soft_cap, sinks] : cases) {
    Cache cache(type, length + rows - 1, head, random_);
    if (window != 0 && window < length) {  // what is outside of every window is not looked at
      std::memset(cache.blocks.data(), 0xff, (length - window) / 64 * cache.stride);
    }
    const size_t q_stride = heads * head.key + 5, out_stride = heads * head.value + 3;
    const std::vector<float> q = random_.Floats(rows * q_stride, -8, 8);
    const std::vector<float> sink = random_.Floats(heads, -2, 8);
    AttentionJob job = JobOf(q, rows, heads, head, out_stride);
    job.kv = cache.View();
    job.length = length;
    job.scale = 0.4f;
    job.window = window;
    job.soft_cap = soft_cap;
    if (sinks) job.sinks = sink.data();
    const std::string what = "head " + std::to_string(head.key) + " " + std::to_string(head.value) +
                             ", length " + std::to_string(length) + ", rows " +
                             std::to_string(rows) + ", window " + std::to_string(window);
    const std::vector<float> out = Attended(job, what);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t h = 0; h < heads; ++h) {
        const size_t at = row * out_stride + h * head.value;
        const auto exact =
            PlainAttention(cache, &q[row * q_stride + h * head.key], head, job.First(row),
                           length + row, job.scale, soft_cap, sinks ? &sink[h] : nullptr);
        for (size_t d = 0; d < head.value; ++d) EXPECT_NEAR(out[at + d], exact[d], 3e-5) << what;
      }
    }
  }
}

// Rows of a text that no cache holds, each of which sees what is before and behind it.
TEST_P(AttentionTest, BothWaysOverRowsOfFloats) {
  struct Case {
    HeadShape head;
    size_t length, position, rows, heads;
    size_t window = 0;
    bool slopes = false;
  };
  std::vector<Case> cases;
  for (const size_t length : {1, 16, 63, 64, 65, 200}) {
    for (const size_t window : {0, 1, 2, 9, 64, 128, 131}) {
      cases.push_back({{32, 32}, length, 0, length, 1, window});
      cases.push_back({{20, 36}, length, length / 2, length - length / 2, 3, window, true});
    }
  }
  cases.push_back({{4, 4}, 130, 60, 21, 2, 20, true});
  cases.push_back({{64, 64}, 150, 0, 150, 2});
  for (const auto& [head, length, position, rows, heads, window, slopes] : cases) {
    const size_t key_stride = head.key + 3, value_stride = head.value + 5;
    const std::vector<float> keys = random_.Floats(length * key_stride, -1, 1);
    const std::vector<float> values = random_.Floats(length * value_stride, -1, 1);
    const std::vector<float> slope = random_.Floats(heads, 0.01f, 0.5f);
    const size_t q_stride = heads * head.key + 1, out_stride = heads * head.value + 2;
    const std::vector<float> q = random_.Floats(rows * q_stride, -1, 1);
    AttentionJob job = JobOf(q, rows, heads, head, out_stride);
    job.length = length;
    job.scale = 0.3f;
    job.window = window;
    job.keys = keys.data(), job.key_stride = key_stride;
    job.values = values.data(), job.value_stride = value_stride;
    job.both_ways = true;
    job.position = position;
    if (slopes) job.slopes = slope.data();
    const std::string what = "length " + std::to_string(length) + ", from " +
                             std::to_string(position) + ", window " + std::to_string(window);
    const std::vector<float> whole = Attended(job, what);
    for (size_t i = 0; i < rows * heads; ++i) {
      const size_t row = i / heads, h = i % heads, at = position + row;
      std::vector<double> out(head.value);
      double total = 0;
      for (size_t p = 0; p < length; ++p) {
        const size_t away = p > at ? p - at : at - p;
        if (window != 0 && away > window / 2) continue;
        double score = 0;
        for (size_t d = 0; d < head.key; ++d) {
          score += double{q[row * q_stride + h * head.key + d]} * keys[p * key_stride + d];
        }
        score *= double{0.3f};
        if (slopes) score -= double{slope[h]} * static_cast<double>(away);
        const double weight = std::exp(score);
        total += weight;
        for (size_t d = 0; d < head.value; ++d) out[d] += weight * values[p * value_stride + d];
      }
      for (size_t d = 0; d < head.value; ++d) {
        EXPECT_NEAR(whole[row * out_stride + h * head.value + d], out[d] / total, 3e-6) << what;
      }
    }
    // One row at a time is the same.
    AttentionJob single = job;
    std::vector<float> rows_alone;
    for (size_t row = 0; row < rows; ++row) {
      single.q = q.data() + row * q_stride;
      single.rows = 1;
      single.position = position + row;
      const std::vector<float> alone = Attended(single, what);
      rows_alone.insert(rows_alone.end(), alone.begin(), alone.end());
    }
    ExpectSameBits(whole, rows_alone, what + ", row by row");
  }
}

}  // namespace
}  // namespace lockstep
