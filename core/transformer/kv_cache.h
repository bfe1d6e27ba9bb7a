// Keys and values of one sequence, f16 or Q8_0. Address space for the whole context is reserved at
// once; physical memory grows with use, and nothing is allocated while tokens are appended. Not
// thread-safe, except that different positions may be written by different threads.
//
// Layout: [position / 64][layer][kv_head] blocks as the attention kernel reads them (KvBlock). With
// the positions outermost, huge pages hold no more than is used but for the last one; without huge
// pages, attention to a long context waits for page walks half of its time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/status.h"
#include "core/kernels/kernels.h"
#include "core/transformer/model_config.h"

namespace lockstep {

class KvCache {
 public:
  // `context` positions (rounded up to a whole block inside). kUnavailable if the system refuses
  // the address space; the message has the sizes. kInvalidArgument for Q8_0 where 32 does not
  // divide head_dim.
  [[nodiscard]] static Result<KvCache> Create(const ModelConfig& config, size_t context,
                                              KvType type = KvType::kF16);
  KvCache(KvCache&& other) noexcept;
  KvCache& operator=(KvCache&& other) noexcept;
  KvCache(const KvCache&) = delete;  // a deep copy is spelled CopyPrefixFrom
  KvCache& operator=(const KvCache&) = delete;
  ~KvCache();

  size_t length() const { return length_; }    // positions that are filled
  size_t context() const { return context_; }  // positions that fit
  size_t reserved_bytes() const { return bytes_; }
  size_t used_bytes() const { return stride_ / kAttentionBlock * length_; }
  // What the keys and values of one position take, in all layers.
  static size_t BytesPerPosition(const ModelConfig& config, KvType type);

  // Makes room for n more positions at the end, to be written through the pointers below.
  // kContextExceeded, and nothing changed, if they do not fit.
  [[nodiscard]] Status Append(size_t n);
  // Keeps the first n positions. REQUIRES: n <= length().
  void Truncate(size_t n);
  // Empties the cache and gives its physical memory back to the system.
  void Reset();
  // Becomes a copy of the first n positions of other, which has the same model and type.
  // REQUIRES: n <= other.length(), n <= context().
  void CopyPrefixFrom(const KvCache& other, size_t n);
  // Overwrites the n positions from `to` on with those of other from `from` on.
  // REQUIRES: multiples of kKeyGroup; n too, or both caches end there; all are filled.
  void CopyFrom(const KvCache& other, size_t from, size_t to, size_t n);

  KvView View(size_t layer, size_t kv_head) const;
  KvBlock Block(size_t layer, size_t kv_head, size_t position) const;  // that has the position
  // Converts and stores one position's key and value of one head. REQUIRES: position < length().
  void Store(const KernelTable& kernels, size_t layer, size_t kv_head, size_t position,
             const float* key /* [head_dim] */, const float* value /* [head_dim] */);

 private:
  KvCache() = default;

  uint8_t* memory_ = nullptr;  // one mapping
  size_t bytes_ = 0;
  size_t stride_ = 0;  // bytes of 64 positions
  KvType type_ = KvType::kF16;
  size_t layers_ = 0, kv_heads_ = 0, head_dim_ = 0;
  size_t context_ = 0, length_ = 0;
};

}  // namespace lockstep
