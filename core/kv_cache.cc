#include "core/kv_cache.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace lockstep {
namespace {

// 32 values to int8 and the f16 scale; the scale's rounding adds little to that of the values.
void StoreBlock(const KernelTable& kernels, const float* x, int8_t* q, uint16_t* scale) {
  float exact, sum, sub_sum[2];
  int32_t offset, sub_offset[2];
  kernels.quantize(x, kQuantBlock, {q, &exact, &offset, sub_offset, &sum, sub_sum});
  kernels.to_half(&exact, 1, scale);
}

}  // namespace

Result<KvCache> KvCache::Create(const ModelConfig& config, size_t context, KvType type) {
  if (type == KvType::kQ8_0 && config.head_dim % kQuantBlock != 0) {
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("KV cache: q8_0 needs heads of a multiple of 32 values, and this model's "
                    "have {}; use f16",
                    config.head_dim));
  }
  KvCache kv;
  kv.type_ = type;
  kv.layers_ = config.layers;
  kv.kv_heads_ = config.kv_heads;
  kv.head_dim_ = config.head_dim;
  kv.context_ = context;
  kv.padded_ = (context + kKeyGroup - 1) / kKeyGroup * kKeyGroup;
  kv.elements_ = kv.layers_ * kv.kv_heads_ * kv.padded_ * kv.head_dim_;
  kv.bytes_ = kv.padded_ * BytesPerPosition(config, type);
  void* p = mmap(nullptr, kv.bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    const size_t wanted = std::exchange(kv.bytes_, 0);
    return Fail(
        ErrorKind::kUnavailable,
        fmt::format("KV cache: the system refused {} bytes ({} layers x {} heads x {} "
                    "positions x {} values, {} keys and values): {}; lower --context or "
                    "--sessions",
                    wanted, kv.layers_, kv.kv_heads_, kv.padded_, kv.head_dim_,
                    type == KvType::kF16 ? "f16" : "q8_0", std::generic_category().message(errno)));
  }
  kv.memory_ = static_cast<uint8_t*>(p);
  return kv;
}

KvCache::KvCache(KvCache&& other) noexcept { *this = std::move(other); }

KvCache& KvCache::operator=(KvCache&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  std::swap(type_, other.type_);
  std::swap(elements_, other.elements_);
  std::swap(layers_, other.layers_);
  std::swap(kv_heads_, other.kv_heads_);
  std::swap(head_dim_, other.head_dim_);
  std::swap(context_, other.context_);
  std::swap(padded_, other.padded_);
  std::swap(length_, other.length_);
  return *this;
}

KvCache::~KvCache() {
  if (bytes_ != 0) munmap(memory_, bytes_);
}

Status KvCache::Append(size_t n) {
  if (n > context_ - length_) {
    return Fail(ErrorKind::kContextExceeded,
                fmt::format("{} tokens after the {} in the cache do not fit into the context of {}",
                            n, length_, context_));
  }
  length_ += n;
  return {};
}

void KvCache::Truncate(size_t n) {
  assert(n <= length_);
  length_ = n;
}

void KvCache::Reset() {
  if (length_ != 0) madvise(memory_, bytes_, MADV_DONTNEED);
  length_ = 0;
}

void KvCache::CopyPrefixFrom(const KvCache& other, size_t n) {
  assert(n <= context_);
  length_ = n;
  CopyFrom(other, 0, 0, n);
}

void KvCache::CopyFrom(const KvCache& other, size_t from, size_t to, size_t n) {
  assert(from + n <= other.length_ && to + n <= length_ && type_ == other.type_);
  assert(layers_ == other.layers_ && kv_heads_ == other.kv_heads_ && head_dim_ == other.head_dim_);
  assert(from % kKeyGroup == 0 && to % kKeyGroup == 0);
  // Keys are stored in groups of positions, so the last, partly used group is copied whole.
  const size_t keys = (n + kKeyGroup - 1) / kKeyGroup * kKeyGroup * head_dim_;
  const size_t values = n * head_dim_;
  const auto copy = [&](const void* target, const void* source, size_t count, size_t unit) {
    std::memcpy(static_cast<uint8_t*>(const_cast<void*>(target)) + to * head_dim_ * unit,
                static_cast<const uint8_t*>(source) + from * head_dim_ * unit, count * unit);
  };
  const auto copy_scales = [&](const uint16_t* target, const uint16_t* source, size_t count) {
    std::copy_n(source + from * head_dim_ / kQuantBlock, count / kQuantBlock,
                const_cast<uint16_t*>(target) + to * head_dim_ / kQuantBlock);
  };
  for (size_t layer = 0; layer < layers_; ++layer) {
    for (size_t head = 0; head < kv_heads_; ++head) {
      const KvView target = View(layer, head), source = other.View(layer, head);
      copy(target.keys, source.keys, keys, element_bytes());
      copy(target.values, source.values, values, element_bytes());
      if (type_ == KvType::kF16) continue;
      copy_scales(target.key_scales, source.key_scales, keys);
      copy_scales(target.value_scales, source.value_scales, values);
    }
  }
}

size_t KvCache::BytesPerPosition(const ModelConfig& config, KvType type) {
  const size_t values = 2 * config.layers * config.kv_heads * config.head_dim;
  return type == KvType::kF16 ? 2 * values : values + values / kQuantBlock * sizeof(uint16_t);
}

size_t KvCache::HeadOffset(size_t layer, size_t kv_head) const {
  return (layer * kv_heads_ + kv_head) * padded_ * head_dim_;
}

KvView KvCache::View(size_t layer, size_t kv_head) const {
  const size_t offset = HeadOffset(layer, kv_head);
  KvView view = {.type = type_,
                 .keys = memory_ + offset * element_bytes(),
                 .key_scales = nullptr,
                 .values = memory_ + (elements_ + offset) * element_bytes(),
                 .value_scales = nullptr};
  if (type_ == KvType::kQ8_0) {
    const auto* scales = reinterpret_cast<const uint16_t*>(memory_ + 2 * elements_);
    view.key_scales = scales + offset / kQuantBlock;
    view.value_scales = scales + (elements_ + offset) / kQuantBlock;
  }
  return view;
}

void KvCache::Store(const KernelTable& kernels, size_t layer, size_t kv_head, size_t position,
                    const float* key, const float* value) {
  assert(position < length_);
  const KvView view = View(layer, kv_head);
  const size_t group = position / kKeyGroup, lane = position % kKeyGroup;
  if (type_ == KvType::kF16) {
    auto* keys =
        static_cast<uint16_t*>(const_cast<void*>(view.keys)) + group * kKeyGroup * head_dim_;
    uint16_t half[kQuantBlock];
    for (size_t d = 0; d < head_dim_; d += kQuantBlock) {
      const size_t n = std::min(kQuantBlock, head_dim_ - d);
      kernels.to_half(key + d, n, half);
      for (size_t i = 0; i < n; ++i) keys[(d + i) * kKeyGroup + lane] = half[i];
    }
    kernels.to_half(value, head_dim_,
                    static_cast<uint16_t*>(const_cast<void*>(view.values)) + position * head_dim_);
    return;
  }
  auto* keys = static_cast<int8_t*>(const_cast<void*>(view.keys)) + group * kKeyGroup * head_dim_;
  auto* values = static_cast<int8_t*>(const_cast<void*>(view.values)) + position * head_dim_;
  const size_t blocks = head_dim_ / kQuantBlock;
  for (size_t b = 0; b < blocks; ++b) {
    const size_t d = b * kQuantBlock;
    int8_t q[kQuantBlock];
    auto* key_scale = const_cast<uint16_t*>(view.key_scales);
    auto* value_scale = const_cast<uint16_t*>(view.value_scales);
    StoreBlock(kernels, key + d, q, key_scale + (group * blocks + b) * kKeyGroup + lane);
    for (size_t i = 0; i < kQuantBlock; ++i) keys[(d + i) * kKeyGroup + lane] = q[i];
    StoreBlock(kernels, value + d, values + d, value_scale + position * blocks + b);
  }
}

}  // namespace lockstep
