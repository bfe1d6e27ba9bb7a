#include "core/kv_cache.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/kernels/kernels.h"

namespace lockstep {

Result<KvCache> KvCache::Create(const ModelConfig& config, size_t context) {
  KvCache kv;
  kv.layers_ = config.layers;
  kv.kv_heads_ = config.kv_heads;
  kv.head_dim_ = config.head_dim;
  kv.context_ = context;
  kv.padded_ = (context + kKeyGroup - 1) / kKeyGroup * kKeyGroup;
  const size_t half = kv.layers_ * kv.kv_heads_ * kv.padded_ * kv.head_dim_;  // elements
  kv.bytes_ = 2 * half * sizeof(uint16_t);
  void* p = mmap(nullptr, kv.bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    const size_t wanted = std::exchange(kv.bytes_, 0);
    return Fail(ErrorKind::kUnavailable,
                fmt::format("KV cache: the system refused {} bytes ({} layers x {} heads x {} "
                            "positions x {} values, f16 keys and values): {}; lower --context or "
                            "--sessions",
                            wanted, kv.layers_, kv.kv_heads_, kv.padded_, kv.head_dim_,
                            std::generic_category().message(errno)));
  }
  kv.keys_ = static_cast<uint16_t*>(p);
  kv.values_ = kv.keys_ + half;
  return kv;
}

KvCache::KvCache(KvCache&& other) noexcept { *this = std::move(other); }

KvCache& KvCache::operator=(KvCache&& other) noexcept {
  std::swap(keys_, other.keys_);
  std::swap(values_, other.values_);
  std::swap(bytes_, other.bytes_);
  std::swap(layers_, other.layers_);
  std::swap(kv_heads_, other.kv_heads_);
  std::swap(head_dim_, other.head_dim_);
  std::swap(context_, other.context_);
  std::swap(padded_, other.padded_);
  std::swap(length_, other.length_);
  return *this;
}

KvCache::~KvCache() {
  if (bytes_ != 0) munmap(keys_, bytes_);
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
  if (length_ != 0) madvise(keys_, bytes_, MADV_DONTNEED);
  length_ = 0;
}

void KvCache::CopyPrefixFrom(const KvCache& other, size_t n) {
  assert(n <= other.length_ && n <= context_);
  assert(layers_ == other.layers_ && kv_heads_ == other.kv_heads_ && head_dim_ == other.head_dim_);
  // Keys are stored in groups of positions, so the last, partly used group is copied whole.
  const size_t key_positions = (n + kKeyGroup - 1) / kKeyGroup * kKeyGroup;
  for (size_t layer = 0; layer < layers_; ++layer) {
    for (size_t head = 0; head < kv_heads_; ++head) {
      std::memcpy(keys_ + HeadOffset(layer, head), other.Keys(layer, head),
                  key_positions * head_dim_ * sizeof(uint16_t));
      std::memcpy(values_ + HeadOffset(layer, head), other.Values(layer, head),
                  n * head_dim_ * sizeof(uint16_t));
    }
  }
  length_ = n;
}

size_t KvCache::HeadOffset(size_t layer, size_t kv_head) const {
  return (layer * kv_heads_ + kv_head) * padded_ * head_dim_;
}

const uint16_t* KvCache::Keys(size_t layer, size_t kv_head) const {
  return keys_ + HeadOffset(layer, kv_head);
}

const uint16_t* KvCache::Values(size_t layer, size_t kv_head) const {
  return values_ + HeadOffset(layer, kv_head);
}

void KvCache::Store(size_t layer, size_t kv_head, size_t position, const uint16_t* key,
                    const uint16_t* value) {
  assert(position < length_);
  const size_t offset = HeadOffset(layer, kv_head);
  uint16_t* group = keys_ + offset + position / kKeyGroup * kKeyGroup * head_dim_;
  for (size_t d = 0; d < head_dim_; ++d) group[d * kKeyGroup + position % kKeyGroup] = key[d];
  std::memcpy(values_ + offset + position * head_dim_, value, head_dim_ * sizeof(uint16_t));
}

}  // namespace lockstep
