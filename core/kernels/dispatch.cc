// A table is chosen by what it computes, not only by what the processor says: a fixed input goes
// through every kernel of it and of the reference, and one bit of difference (a compiler's fault,
// an emulator's, a processor's) sends the program back to the reference.
#include "core/kernels/dispatch.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <vector>

#include "core/kernels/aligned_buffer.h"
#include "core/kernels/isas.h"
#include "core/kernels/matmul.h"
#include "core/kernels/packed_matrix.h"

namespace lockstep {
namespace {

// A linear congruential generator: the inputs only have to be varied and always the same.
struct Noise {
  uint32_t state = 12345;
  uint32_t Bits() { return state = state * 1664525u + 1013904223u; }
  float Next() { return static_cast<float>(static_cast<int32_t>(Bits())) * 0x1p-30f; }  // [-2, 2)
  std::vector<float> Row(size_t n) {
    std::vector<float> row(n);
    for (float& v : row) v = Next();
    return row;
  }
};

using Answer = std::vector<float>;

void Append(const std::vector<float>& values, Answer& answer) {
  answer.insert(answer.end(), values.begin(), values.end());
}

bool SameBits(std::span<const float> a, std::span<const float> b) {
  const auto bits = [](float v) { return std::bit_cast<uint32_t>(v); };
  return std::ranges::equal(a, b, {}, bits, bits);
}

// Each weight type, by the code for many columns and by that for few, whole tiles and remainders.
// From 65 columns on every table takes the former. Columns come again after kDistinct of them, by
// which no tile is wide: the reference is slow, and computes each once.
bool SameProducts(const KernelTable& table, const KernelTable& reference) {
  constexpr size_t kK = 256, kRows = 48, kColumns = 67, kDistinct = 9;
  Noise noise;
  std::vector<float> x = noise.Row(kDistinct * kK);
  x.reserve(kColumns * kK);
  while (x.size() < kColumns * kK) x.push_back(x[x.size() - kDistinct * kK]);
  ThreadPool caller_only(1);
  MatMulScratch scratch(kColumns, kK, 1);
  const auto multiply = [&](const KernelTable& kernels, const PackedMatrix& w, size_t columns) {
    std::vector<float> y(columns * kRows);
    const MatMulJob job[] = {{&w, y.data(), kRows}};
    MatMul(kernels, caller_only, {x.data(), columns, kK, kK}, job, scratch);
    return y;
  };
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    std::vector<uint8_t> file(kRows * FileRowBytes(type, kK));
    // With these bits clear, what is read as a float is a small one.
    for (uint8_t& byte : file) byte = static_cast<uint8_t>(noise.Bits() >> 24) & 0xb5;
    PackedMatrix w = MakePackedMatrix(type, kRows, kK);
    for (size_t p = 0; p < w.panel_count(); ++p) PackPanel(file.data(), p, w);
    const std::vector<float> expected = multiply(reference, w, kDistinct);
    for (const size_t columns : {kColumns, size_t{5}, size_t{2}}) {
      const std::vector<float> y = multiply(table, w, columns);
      for (size_t i = 0; i < columns; ++i) {
        const auto column = std::span(y).subspan(i * kRows, kRows);
        const auto right = std::span(expected).subspan(i % kDistinct * kRows, kRows);
        if (!SameBits(column, right)) return false;
      }
    }
  }
  return true;
}

// Two rows of two heads, the second of which reaches into a new block of the cache.
void Attend(const KernelTable& kernels, Noise& noise, Answer& answer) {
  constexpr size_t kSize = 96, kLength = 128, kBlocks = 3, kQueries = 4;
  constexpr HeadShape kHead = {.key = kSize, .value = kSize};
  constexpr size_t kHalfStride = KvBlockBytes(KvType::kF16, kHead);
  constexpr size_t kByteStride = KvBlockBytes(KvType::kQ8_0, kHead);
  constexpr size_t kNibbleStride = KvBlockBytes(KvType::kQ4_0, kHead);
  constexpr size_t kScales = KvScaleBytes(kSize);  // of the keys, and as many of the values
  std::vector<uint16_t> half(kBlocks * kHalfStride / 2), scales(kScales);
  kernels.to_half(noise.Row(half.size()).data(), half.size(), half.data());
  const auto integers = [&](size_t stride) {
    std::vector<uint8_t> bytes(kBlocks * stride);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(noise.Bits() >> 24);
    for (size_t block = 0; block < kBlocks; ++block) {
      kernels.to_half(noise.Row(scales.size()).data(), scales.size(), scales.data());
      std::memcpy(bytes.data() + (block + 1) * stride - 2 * kScales, scales.data(), 2 * kScales);
    }
    return bytes;
  };
  const std::vector<uint8_t> bytes = integers(kByteStride), nibbles = integers(kNibbleStride);
  const std::vector<float> q = noise.Row(kQueries * kSize);
  AlignedBuffer<float> scratch(AttentionScratchFloats(kHead));
  const KvView caches[] = {
      {KvType::kF16, reinterpret_cast<const uint8_t*>(half.data()), kHalfStride},
      {KvType::kQ8_0, bytes.data(), kByteStride},
      {KvType::kQ4_0, nibbles.data(), kNibbleStride}};
  std::vector<float> out(q.size());
  const AttentionJob plain{.q = q.data(),
                           .q_stride = 2 * kSize,
                           .out = out.data(),
                           .out_stride = 2 * kSize,
                           .rows = 2,
                           .heads = 2,
                           .head = kHead,
                           .kv = {},
                           .length = kLength,
                           .scale = 0.3f,
                           .scratch = scratch.data()};
  for (const KvView& kv : caches) {
    AttentionJob job = plain;
    job.kv = kv;
    kernels.attention(job);
    Append(out, answer);
    job.window = 65;
    job.soft_cap = 3.0f;
    kernels.attention(job);
    Append(out, answer);
    job.sinks = q.data();
    kernels.attention(job);
    Append(out, answer);
  }
  // The attention of encoders, to rows of floats and both ways.
  const std::vector<float> keys = noise.Row(kLength * kSize);
  AttentionJob job = plain;
  job.keys = keys.data(), job.values = keys.data() + 3 * kSize;
  job.key_stride = job.value_stride = kSize;
  job.both_ways = true;
  job.length = 70, job.position = 40;
  kernels.attention(job);
  Append(out, answer);
  job.window = 50;
  job.slopes = keys.data();
  kernels.attention(job);
  Append(out, answer);
}

// Two tokens, of 16 values and eight keys.
void Recur(const KernelTable& kernels, Noise& noise, Answer& answer) {
  constexpr size_t kKeys = 8, kRows = 2;
  AlignedBuffer<float> state(kKeys * kLanes);
  const std::vector<float> x = noise.Row(kRows * (2 * kKeys + kLanes)), gates = noise.Row(4);
  std::vector<float> out(kRows * kLanes);
  const RecallJob job = {.state = state.data(),
                         .q = x.data(),
                         .k = x.data() + kKeys,
                         .v = x.data() + 2 * kKeys,
                         .stride = 2 * kKeys + kLanes,
                         .rows = kRows,
                         .keys = kKeys,
                         .decay = gates.data(),
                         .beta = gates.data() + 1,
                         .gate_stride = 2,
                         .out = out.data(),
                         .out_stride = kLanes};
  for (const auto recall : {kernels.delta_rule, kernels.state_space}) {
    recall(job);
    Append(out, answer);
  }
  Append({state.data(), state.data() + state.size()}, answer);
}

// What a table computes from fixed inputs beside products, one after the other.
Answer KnownAnswer(const KernelTable& kernels) {
  Noise noise;
  Answer answer;
  Attend(kernels, noise, answer);
  constexpr size_t kN = 95;  // no whole number of registers
  std::vector<float> y = noise.Row(kN), a = noise.Row(kN), b = noise.Row(kN);
  kernels.rms_norm(a.data(), b.data(), kN, 1e-5f, y.data());
  kernels.add(a.data(), 0.7f, kN, y.data());
  Append(y, answer);
  kernels.layer_norm(a.data(), b.data(), y.data(), kN, 1e-5f, y.data());
  Append(y, answer);
  kernels.gelu_mul(a.data(), b.data(), kN, y.data());
  kernels.soft_cap(2.5f, kN, y.data());
  Append(y, answer);
  kernels.gelu_erf_mul(a.data(), b.data(), kN, y.data());
  Append(y, answer);
  kernels.clamped_silu_mul(a.data(), b.data(), kN, y.data());
  Append(y, answer);
  kernels.silu_mul(a.data(), b.data(), kN, y.data());
  kernels.rope(y.data(), 2, 46, a.data(), b.data(), 23);
  Append(y, answer);
  kernels.sigmoid_mul(a.data(), y.data(), kN, y.data());
  kernels.mul(b.data(), kN, y.data());
  Append(y, answer);
  const float* const taps[] = {a.data(), b.data()};
  kernels.convolve(taps, a.data(), kN / 2, 2, kN / 2, y.data());
  Append(y, answer);
  std::vector<double> exps(b.begin(), b.end());
  kernels.exps(exps.data(), kN);
  for (const double x : exps) {  // all of its bits
    const uint64_t bits = std::bit_cast<uint64_t>(x);
    Append({std::bit_cast<float>(static_cast<uint32_t>(bits >> 32)),
            std::bit_cast<float>(static_cast<uint32_t>(bits))},
           answer);
  }
  Recur(kernels, noise, answer);
  return answer;
}

}  // namespace

std::vector<const KernelTable*> AvailableKernels() {
  std::vector<const KernelTable*> tables;
  for (const Isa& isa : Isas()) {
    if (isa.runs_here()) tables.push_back(&isa.kernels());
  }
  return tables;
}

bool SameAnswers(const KernelTable& table, const KernelTable& reference) {
  return SameBits(KnownAnswer(table), KnownAnswer(reference)) && SameProducts(table, reference);
}

KernelChoice ChooseKernels(std::string_view isa) {
  for (const KernelTable* table : AvailableKernels()) {
    if (isa != "auto" && isa != table->isa) continue;
    if (SameAnswers(*table, ScalarKernels())) return {.kernels = table};
    return {.kernels = &ScalarKernels(), .rejected = table->isa};
  }
  return {};
}

}  // namespace lockstep
