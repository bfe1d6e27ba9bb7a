// One mapping holds the whole context. The kernel gives it pages when they are first written, so a
// session takes physical memory for the tokens that it has, and growing copies nothing. What lies
// behind a sliding window goes back to the kernel in the same way, so that positions keep their
// addresses and attention knows nothing of it:
//
//   whole layers    |########################......|      # in use   . not yet
//   window layers   |               #########......|
//                    given back ->  kept_from      context
#include "core/transformer/kv_cache.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>
#include <utility>

namespace lockstep {
namespace {

// 32 values to 4 bits and the f16 scale, by which the largest is -8, as ggml has it: one of 16
// values is no waste then. What is not finite makes the scale so, and is found in the logits.
void StoreFourBits(const KernelTable& kernels, const float* x, int8_t* q, uint16_t* scale) {
  float largest = 0, zero = 0;
  for (size_t i = 0; i < kQuantBlock; ++i) {
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
    zero += 0 * x[i];
  }
  const float exact = largest / -8 + zero, inverse = exact != 0 ? 1 / exact : 0;
  for (size_t i = 0; i < kQuantBlock; ++i) {
    const float shifted = x[i] * inverse + 8.5f;
    q[i] = static_cast<int8_t>(shifted > 0 ? static_cast<int>(std::min(shifted, 15.0f)) - 8 : -8);
  }
  kernels.to_half(&exact, 1, scale);
}

// A byte of Q4_0.
int8_t PairOf(int8_t lower, int8_t upper) {
  return static_cast<int8_t>((lower + 8) | (upper + 8) << 4);
}

// 32 values to integers and the f16 scale; the scale's rounding adds little to that of the values.
void StoreBlock(const KernelTable& kernels, KvType type, const float* x, int8_t* q,
                uint16_t* scale) {
  if (type == KvType::kQ4_0) return StoreFourBits(kernels, x, q, scale);
  float exact, sum, sub_sum[2];
  int32_t offset, sub_offset[2];
  kernels.quantize(x, kQuantBlock, {q, &exact, &offset, sub_offset, &sum, sub_sum});
  kernels.to_half(&exact, 1, scale);
}

// The floats of a recurrent layer's state, rounded up so that each state begins at a cache line.
size_t StateFloats(const RecurrenceSizes& r) {
  return (r.matrix_floats() + r.window_floats() + kLanes - 1) / kLanes * kLanes;
}

// The bytes of 64 positions of a layer; 0 where it reads another's cache, or does not attend.
size_t LayerBytes(const ModelConfig& config, size_t i, KvType type) {
  const LayerConfig& layer = config.layers[i];
  return layer.kv_layer == i ? layer.kv_heads * KvBlockBytes(type, layer.head) : 0;
}

}  // namespace

Result<KvCache> KvCache::Create(const ModelConfig& config, size_t context, KvType type, KvKeep keep,
                                KvStates states) {
  for (const LayerConfig& layer : config.layers) {
    if (type == KvType::kF16) break;
    for (const size_t size : {layer.head.key, layer.head.value}) {
      if (size % kQuantBlock == 0) continue;
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("KV cache: {} needs heads of a multiple of 32 values, and this "
                              "model's have {}; use f16",
                              Name(type), size));
    }
  }
  const bool windows = keep == KvKeep::kWindows && config.window != 0;
  const size_t blocks = (context + kAttentionBlock - 1) / kAttentionBlock;
  KvCache kv;
  kv.type_ = type;
  kv.context_ = context;
  kv.window_ = windows ? config.window : 0;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const bool window = windows && config.layers[i].window;
    (window ? kv.window_stride_ : kv.whole_stride_) += LayerBytes(config, i, type);
  }
  kv.states_size_ = StateBytes(config) / sizeof(float);
  const size_t states_bytes = (states == KvStates::kWithCopy ? 2 : 1) * StateBytes(config);
  kv.reserved_bytes_ = blocks * (kv.whole_stride_ + kv.window_stride_) + states_bytes;
  // The two regions begin where huge pages can.
  const size_t whole_bytes = (blocks * kv.whole_stride_ + kHugePage - 1) / kHugePage * kHugePage;
  const size_t window_bytes = blocks * kv.window_stride_;
  const size_t bytes = whole_bytes + window_bytes + states_bytes + kHugePage;
  // MAP_NORESERVE: the whole context counts against no commit limit before it is used.
  void* const p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    return Fail(
        ErrorKind::kUnavailable,
        fmt::format("KV cache: the system refused {} bytes ({} layers, {} positions of {} bytes, "
                    "{} keys and values): {}; lower --context or --sessions",
                    kv.reserved_bytes_, config.layers.size(), blocks * kAttentionBlock,
                    BytesPerPosition(config, type), Name(type),
                    std::generic_category().message(errno)));
  }
  madvise(p, bytes, MADV_HUGEPAGE);  // may fail where the system has none
  kv.memory_ = {static_cast<uint8_t*>(p), Unmap{bytes}};
  uint8_t* whole = kv.memory_.get() + -reinterpret_cast<uintptr_t>(p) % kHugePage;
  uint8_t* window = kv.windows_ = whole + whole_bytes;
  kv.states_ = reinterpret_cast<float*>(window + window_bytes);  // blocks are whole cache lines
  if (states == KvStates::kWithCopy) kv.saved_states_ = kv.states_ + kv.states_size_;
  size_t state = 0;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& layer = config.layers[i];
    const bool has_window = windows && layer.window, own = layer.kv_layer == i;
    uint8_t*& next = has_window ? window : whole;
    uint8_t* const blocks_at = own ? next : kv.layers_[layer.kv_layer].blocks;
    kv.layers_.push_back({blocks_at, has_window, own, layer.kv_heads, layer.head, state});
    if (layer.recurrent) state += StateFloats(config.recurrence);
    next += LayerBytes(config, i, type);
  }
  return kv;
}

void KvCache::Unmap::operator()(uint8_t* memory) const { munmap(memory, bytes); }

Status KvCache::Append(size_t n) {
  if (n > context_ - length_) {
    return Fail(ErrorKind::kContextExceeded,
                fmt::format("{} tokens after the {} in the cache do not fit into the context of {}",
                            n, length_, context_));
  }
  if (window_ != 0) ForgetBefore(WindowBegin(length_) / kWindowStep * kWindowStep);
  length_ += n;
  return {};
}

Status KvCache::AppendForCopy(size_t n) {
  TRY_OK(Append(n));
  if (window_ != 0) ForgetBefore(WindowBegin(length_) / kAttentionBlock * kAttentionBlock);
  return {};
}

void KvCache::ForgetBefore(size_t position) {
  if (position <= kept_from_) return;
  kept_from_ = position;
  // A huge page of which a part is given back stays whole until memory is short.
  const size_t bytes = position / kAttentionBlock * window_stride_ / kHugePage * kHugePage;
  if (bytes <= released_bytes_) return;
  madvise(windows_ + released_bytes_, bytes - released_bytes_, MADV_DONTNEED);
  released_bytes_ = bytes;
}

void KvCache::Truncate(size_t n) {
  assert(n <= length_ && (n == 0 || WindowBegin(n) >= kept_from_));
  length_ = n;
  if (n != 0) return;
  kept_from_ = released_bytes_ = 0;
  std::fill_n(states_, states_size_, 0.0f);
}

void KvCache::SetStates(std::span<const float> states) {
  assert(states.size() == states_size_);
  std::ranges::copy(states, states_);
}

void KvCache::SaveStates() {
  assert(saved_states_ != nullptr && length_ != 0);
  std::copy_n(states_, states_size_, saved_states_);
  saved_at_ = length_;
}

void KvCache::RestoreStates() {
  assert(saved_at_ != 0 && saved_at_ <= length_);
  std::copy_n(saved_states_, states_size_, states_);
  Truncate(saved_at_);
}

void KvCache::Reset() {
  // The mapping stays, and its pages read as zeros when they are next touched.
  if (length_ != 0) madvise(memory_.get(), memory_.get_deleter().bytes, MADV_DONTNEED);
  length_ = kept_from_ = released_bytes_ = saved_at_ = 0;
}

void KvCache::CopyPrefixFrom(const KvCache& other, size_t n) {
  assert(n <= context_ && (window_ == other.window_ || other.window_ == 0));
  length_ = n;
  kept_from_ = other.kept_from_;
  CopyFrom(other, 0, 0, n);
  SetStates(other.states());
}

void KvCache::CopyFrom(const KvCache& other, size_t from, size_t to, size_t n) {
  assert(from + n <= other.length_ && to + n <= length_ && type_ == other.type_);
  assert(layers_.size() == other.layers_.size());
  // A key is not in one piece: 16 positions share a group, [head_dim][16], so that only whole
  // groups can be moved by memcpy.
  assert(from % kKeyGroup == 0 && to % kKeyGroup == 0);
  // Keys are stored in groups of positions, so the last, partly used group is copied whole.
  for (size_t i = 0; i < n; i += kKeyGroup) {
    // Both are positions within a block; one position takes the same bytes in each of the four
    // arrays, so one offset serves them all.
    const size_t source = (from + i) % kAttentionBlock, target = (to + i) % kAttentionBlock;
    const auto copy = [&](const void* to_block, const void* from_block, size_t bytes) {
      std::memcpy(static_cast<uint8_t*>(const_cast<void*>(to_block)) + target * bytes,
                  static_cast<const uint8_t*>(from_block) + source * bytes, kKeyGroup * bytes);
    };
    for (size_t layer = 0; layer < layers_.size(); ++layer) {
      const Layer& mine = layers_[layer];
      if (!mine.own || (mine.window && to + i < kept_from_)) continue;
      assert(!other.layers_[layer].window || from + i >= other.kept_from_);
      const size_t key = mine.head.key, value = StoredValue(mine.head);
      for (size_t head = 0; head < mine.kv_heads; ++head) {
        const KvBlock a = Block(layer, head, to + i), b = other.Block(layer, head, from + i);
        copy(a.keys, b.keys, KvBytes(type_, key));
        copy(a.values, b.values, KvBytes(type_, value));
        if (type_ == KvType::kF16) continue;
        copy(a.key_scales, b.key_scales, key / kQuantBlock * sizeof(uint16_t));
        copy(a.value_scales, b.value_scales, value / kQuantBlock * sizeof(uint16_t));
      }
    }
  }
}

template <class Visit>
void KvCache::VisitGroup(size_t position, const Visit& visit) const {
  assert(position % kKeyGroup == 0 && position + kKeyGroup <= length_ && kept_from_ == 0);
  const size_t at = position % kAttentionBlock;
  const auto piece = [&](const void* block, size_t bytes) {
    visit(static_cast<uint8_t*>(const_cast<void*>(block)) + at * bytes, kKeyGroup * bytes);
  };
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    if (!layers_[layer].own) continue;
    const size_t key = layers_[layer].head.key, value = StoredValue(layers_[layer].head);
    for (size_t head = 0; head < layers_[layer].kv_heads; ++head) {
      const KvBlock block = Block(layer, head, position);
      piece(block.keys, KvBytes(type_, key));
      piece(block.values, KvBytes(type_, value));
      if (type_ == KvType::kF16) continue;
      piece(block.key_scales, key / kQuantBlock * sizeof(uint16_t));
      piece(block.value_scales, value / kQuantBlock * sizeof(uint16_t));
    }
  }
}

void KvCache::ReadGroup(size_t position, std::span<uint8_t> bytes) const {
  assert(bytes.size() == group_bytes());
  VisitGroup(position, [&bytes](const uint8_t* piece, size_t n) {
    std::memcpy(bytes.data(), piece, n);
    bytes = bytes.subspan(n);
  });
}

void KvCache::WriteGroup(size_t position, std::span<const uint8_t> bytes) {
  assert(bytes.size() == group_bytes());
  VisitGroup(position, [&bytes](uint8_t* piece, size_t n) {
    std::memcpy(piece, bytes.data(), n);
    bytes = bytes.subspan(n);
  });
}

size_t KvCache::BytesPerPosition(const ModelConfig& config, KvType type) {
  size_t bytes = 0;
  for (size_t i = 0; i < config.layers.size(); ++i) bytes += LayerBytes(config, i, type);
  return bytes / kAttentionBlock;
}

size_t KvCache::StateBytes(const ModelConfig& config) {
  const size_t layers = config.recurrent_count();
  return layers == 0 ? 0 : layers * StateFloats(config.recurrence) * sizeof(float);
}

KvCost KvCache::Cost(const ModelConfig& config, KvType type, size_t batch, KvStates states) {
  KvCost cost = {.window_positions = config.window + kWindowStep + batch + kAttentionBlock,
                 .state_bytes = (states == KvStates::kWithCopy ? 2 : 1) * StateBytes(config)};
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const bool window = config.window != 0 && config.layers[i].window;
    (window ? cost.window_position_bytes : cost.position_bytes) +=
        LayerBytes(config, i, type) / kAttentionBlock;
  }
  return cost;
}

KvView KvCache::View(size_t layer, size_t kv_head) const {
  const Layer& kept = layers_[layer];
  return {type_, kept.blocks + kv_head * KvBlockBytes(type_, kept.head),
          kept.window ? window_stride_ : whole_stride_};
}

KvBlock KvCache::Block(size_t layer, size_t kv_head, size_t position) const {
  const KvView view = View(layer, kv_head);
  const uint8_t* const block = view.blocks + position / kAttentionBlock * view.stride;
  return BlockAt(type_, block, layers_[layer].head);
}

void KvCache::Store(const KernelTable& kernels, size_t layer, size_t kv_head, size_t position,
                    const float* key, const float* value) {
  assert(position < length_);
  const KvBlock view = Block(layer, kv_head, position);
  const HeadShape head = layers_[layer].head;
  const size_t value_dim = StoredValue(head);
  position %= kAttentionBlock;
  // Value d of the key is element [group][d][lane]: the kernel loads one d of 16 keys at once. A
  // value vector stays in one piece, as it is multiplied by one weight.
  const size_t group = position / kKeyGroup, lane = position % kKeyGroup;
  if (type_ == KvType::kF16) {
    auto* keys =
        static_cast<uint16_t*>(const_cast<void*>(view.keys)) + group * kKeyGroup * head.key;
    uint16_t half[kQuantBlock];
    for (size_t d = 0; d < head.key; d += kQuantBlock) {
      const size_t n = std::min(kQuantBlock, head.key - d);
      kernels.to_half(key + d, n, half);
      for (size_t i = 0; i < n; ++i) keys[(d + i) * kKeyGroup + lane] = half[i];
    }
    kernels.to_half(value, value_dim,
                    static_cast<uint16_t*>(const_cast<void*>(view.values)) + position * value_dim);
    return;
  }
  auto* keys = static_cast<int8_t*>(const_cast<void*>(view.keys)) +
               KvBytes(type_, group * kKeyGroup * head.key);
  auto* values =
      static_cast<int8_t*>(const_cast<void*>(view.values)) + KvBytes(type_, position * value_dim);
  const size_t key_blocks = head.key / kQuantBlock, value_blocks = value_dim / kQuantBlock;
  int8_t q[kQuantBlock];
  for (size_t b = 0; b < key_blocks; ++b) {
    const size_t d = b * kQuantBlock;
    auto* key_scale = const_cast<uint16_t*>(view.key_scales);
    StoreBlock(kernels, type_, key + d, q, key_scale + (group * key_blocks + b) * kKeyGroup + lane);
    if (type_ == KvType::kQ8_0) {
      for (size_t i = 0; i < kQuantBlock; ++i) keys[(d + i) * kKeyGroup + lane] = q[i];
    } else {
      for (size_t i = 0; i < kQuantBlock; i += 2) {
        keys[(d + i) / 2 * kKeyGroup + lane] = PairOf(q[i], q[i + 1]);
      }
    }
  }
  for (size_t b = 0; b < value_blocks; ++b) {
    const size_t d = b * kQuantBlock;
    auto* value_scale = const_cast<uint16_t*>(view.value_scales);
    StoreBlock(kernels, type_, value + d, q, value_scale + position * value_blocks + b);
    if (type_ == KvType::kQ8_0) {
      std::copy_n(q, kQuantBlock, values + d);
    } else {
      constexpr size_t kHalf = kQuantBlock / 2;
      for (size_t i = 0; i < kHalf; ++i) values[d / 2 + i] = PairOf(q[i], q[i + kHalf]);
    }
  }
}

}  // namespace lockstep
