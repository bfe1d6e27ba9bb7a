// One mapping holds the whole context. The kernel gives it pages when they are first written, so a
// session takes physical memory for the tokens that it has, and growing copies nothing.
#include "core/transformer/kv_cache.h"

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
  kv.stride_ = kAttentionBlock * BytesPerPosition(config, type);
  const size_t blocks = (context + kAttentionBlock - 1) / kAttentionBlock;
  kv.bytes_ = blocks * kv.stride_;
  // MAP_NORESERVE: the whole context counts against no commit limit before it is used.
  void* p = mmap(nullptr, kv.bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    const size_t wanted = std::exchange(kv.bytes_, 0);
    return Fail(
        ErrorKind::kUnavailable,
        fmt::format("KV cache: the system refused {} bytes ({} layers x {} heads x {} "
                    "positions x {} values, {} keys and values): {}; lower --context or "
                    "--sessions",
                    wanted, kv.layers_, kv.kv_heads_, blocks * kAttentionBlock, kv.head_dim_,
                    type == KvType::kF16 ? "f16" : "q8_0", std::generic_category().message(errno)));
  }
  madvise(p, kv.bytes_, MADV_HUGEPAGE);  // may fail where the system has none
  kv.memory_ = static_cast<uint8_t*>(p);
  return kv;
}

KvCache::KvCache(KvCache&& other) noexcept { *this = std::move(other); }

KvCache& KvCache::operator=(KvCache&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  std::swap(type_, other.type_);
  std::swap(stride_, other.stride_);
  std::swap(layers_, other.layers_);
  std::swap(kv_heads_, other.kv_heads_);
  std::swap(head_dim_, other.head_dim_);
  std::swap(context_, other.context_);
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
  // The mapping stays, and its pages read as zeros when they are next touched.
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
  // A key is not in one piece: 16 positions share a group, [head_dim][16], so that only whole
  // groups can be moved by memcpy.
  assert(from % kKeyGroup == 0 && to % kKeyGroup == 0);
  const size_t unit = type_ == KvType::kF16 ? 2 : 1;
  // Keys are stored in groups of positions, so the last, partly used group is copied whole.
  for (size_t i = 0; i < n; i += kKeyGroup) {
    // Both are positions within a block; one position takes the same bytes in each of the four
    // arrays, so one offset serves them all.
    const size_t source = (from + i) % kAttentionBlock, target = (to + i) % kAttentionBlock;
    const auto copy = [&](const void* to_block, const void* from_block, size_t bytes) {
      std::memcpy(static_cast<uint8_t*>(const_cast<void*>(to_block)) + target * bytes,
                  static_cast<const uint8_t*>(from_block) + source * bytes, kKeyGroup * bytes);
    };
    for (size_t layer = 0; layer < layers_; ++layer) {
      for (size_t head = 0; head < kv_heads_; ++head) {
        const KvBlock a = Block(layer, head, to + i), b = other.Block(layer, head, from + i);
        copy(a.keys, b.keys, head_dim_ * unit);
        copy(a.values, b.values, head_dim_ * unit);
        if (type_ == KvType::kF16) continue;
        copy(a.key_scales, b.key_scales, head_dim_ / kQuantBlock * sizeof(uint16_t));
        copy(a.value_scales, b.value_scales, head_dim_ / kQuantBlock * sizeof(uint16_t));
      }
    }
  }
}

size_t KvCache::BytesPerPosition(const ModelConfig& config, KvType type) {
  return config.layers * config.kv_heads * KvBlockBytes(type, config.head_dim) / kAttentionBlock;
}

KvView KvCache::View(size_t layer, size_t kv_head) const {
  const size_t head = layer * kv_heads_ + kv_head;
  return {type_, memory_ + head * KvBlockBytes(type_, head_dim_), stride_};
}

KvBlock KvCache::Block(size_t layer, size_t kv_head, size_t position) const {
  const KvView view = View(layer, kv_head);
  return BlockAt(type_, view.blocks + position / kAttentionBlock * stride_, head_dim_);
}

void KvCache::Store(const KernelTable& kernels, size_t layer, size_t kv_head, size_t position,
                    const float* key, const float* value) {
  assert(position < length_);
  const KvBlock view = Block(layer, kv_head, position);
  position %= kAttentionBlock;
  // Value d of the key is element [group][d][lane]: the kernel loads one d of 16 keys at once. A
  // value vector stays in one piece, as it is multiplied by one weight.
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
