#include "core/kernels/dispatch.h"

#include <cstring>
#include <vector>

#include "core/kernels/cpu_features.h"
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

// Everything that a table computes from fixed inputs, one after the other.
std::vector<float> KnownAnswer(const KernelTable& kernels) {
  Noise noise;
  std::vector<float> out;
  const auto keep = [&out](const std::vector<float>& v) {
    out.insert(out.end(), v.begin(), v.end());
  };
  constexpr size_t kK = 96, kColumns = 5, kRows = 80;  // whole tiles and remainders of both sides
  const std::vector<float> x = noise.Row(kColumns * kK);
  std::vector<int8_t> q(x.size());
  std::vector<float> scale(x.size() / kQuantBlock);
  std::vector<int32_t> sum(scale.size());
  kernels.quantize(x.data(), x.size(), q.data(), scale.data(), sum.data());
  out.insert(out.end(), q.begin(), q.end());
  out.insert(out.end(), sum.begin(), sum.end());
  keep(scale);
  const ActivationView view = {.f32 = x.data(),
                               .q = q.data(),
                               .scale = scale.data(),
                               .sum = sum.data(),
                               .k = kK,
                               .stride = kK};
  for (size_t t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    std::vector<uint8_t> file(kRows * FileRowBytes(type, kK));
    for (uint8_t& byte : file) byte = static_cast<uint8_t>(noise.Bits() >> 24);
    if (!IsQuantised(type)) {  // keep the exponents small: clear the top bits of each high byte
      const size_t step = type == WeightType::kF32 ? 4 : 2;
      for (size_t i = step - 1; i < file.size(); i += step) file[i] &= 0xb5;
    } else {
      const size_t step = FileRowBytes(type, kQuantBlock);
      for (size_t i = 1; i < file.size(); i += step) file[i] &= 0xb5;
    }
    PackedMatrix w = MakePackedMatrix(type, kRows, kK);
    for (size_t p = 0; p < w.panel_count(); ++p) PackPanel(file.data(), p, w);
    std::vector<float> y(kColumns * kRows);
    kernels.matmul[t](w.panels.data(), w.panel_count(), view, 0, kColumns, y.data(), kRows);
    keep(y);
  }
  std::vector<float> y = noise.Row(kK - 1), a = noise.Row(kK - 1), b = noise.Row(kK - 1);
  kernels.rms_norm(a.data(), b.data(), a.size(), 1e-5f, y.data());
  kernels.add(a.data(), a.size(), y.data());
  keep(y);
  kernels.silu_mul(a.data(), b.data(), a.size(), y.data());
  kernels.rope(y.data(), 2, 46, a.data(), b.data(), 23);
  keep(y);
  constexpr size_t kHead = 76, kLength = 150;
  std::vector<uint16_t> cache(2 * 160 * kHead);
  const std::vector<float> kv = noise.Row(cache.size());
  kernels.to_half(kv.data(), kv.size(), cache.data());
  std::vector<float> queries = noise.Row(2 * kHead), attended(2 * kHead);
  kernels.attention({.q = queries.data(),
                     .heads = 2,
                     .head_dim = kHead,
                     .keys = cache.data(),
                     .values = cache.data() + 160 * kHead,
                     .length = kLength,
                     .scale = 0.3f,
                     .out = attended.data()});
  keep(attended);
  return out;
}

}  // namespace

std::vector<const KernelTable*> AvailableKernels() {
  std::vector<const KernelTable*> tables;
#if defined(__x86_64__)
  const CpuFeatures cpu = DetectCpu();
  if (cpu.avx512_vnni) tables.push_back(&Avx512Kernels());
  if (cpu.avx2_fma_f16c) tables.push_back(&Avx2Kernels());
#endif
  tables.push_back(&ScalarKernels());
  return tables;
}

bool SameAnswers(const KernelTable& a, const KernelTable& b) {
  const std::vector<float> x = KnownAnswer(a), y = KnownAnswer(b);
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
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
