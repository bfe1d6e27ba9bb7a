// What a model keeps of one sequence: keys and values of the layers that attend, f16 or Q8_0, and
// the states of recurrent layers, F32. Address space for the whole context is reserved at
// once; physical memory grows with use, and nothing is allocated while tokens are appended. Not
// thread-safe, except that different positions may be written by different threads.
//
// Layout: [position / 64][layer][kv_head] blocks as the attention kernel reads them (KvBlock), of
// whatever size the layer's heads are; a layer that reads another's has none of its own. With
// the positions outermost, huge pages hold no more than is used but for the last one; without huge
// pages, attention to a long context waits for page walks half of its time. Layers with a sliding
// window, of which old positions are given back, have such blocks in a region of their own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/kernels/kernels.h"
#include "core/transformer/config_types.h"

namespace lockstep {

// Whether the layers with a sliding window keep all positions, so that the sequence can be cut
// anywhere, or those only that a next token attends to.
enum class KvKeep { kAll, kWindows };

// Whether there is room for a copy of the states of recurrent layers, to which they can be taken
// back.
enum class KvStates { kOnly, kWithCopy };

// The bytes that a cache of KvKeep::kWindows has in use at most.
struct KvCost {
  size_t position_bytes = 0;         // of a position, in the layers that keep all
  size_t window_position_bytes = 0;  // of a position, in the layers with a window
  size_t window_positions = 0;       // so many are kept there at most
  size_t state_bytes = 0;            // of the recurrent layers, and of their copy

  // The bytes for so many positions, in whole blocks.
  size_t Of(size_t positions) const {
    if (positions == 0) return 0;
    positions = (positions + kAttentionBlock - 1) / kAttentionBlock * kAttentionBlock;
    return state_bytes + positions * position_bytes +
           std::min(positions, window_positions) * window_position_bytes;
  }
};

class KvCache {
 public:
  // Positions are given back in steps of so many.
  static constexpr size_t kWindowStep = 256;
  // The system may count whole pages of this size where a part of one is in use, at the end of each
  // of the two regions and at the beginning of that of the windows.
  static constexpr size_t kHugePage = size_t{2} << 20;
  static constexpr size_t kPageWaste = 3 * kHugePage;

  // `context` positions (rounded up to a whole block inside). kUnavailable if the system refuses
  // the address space; the message has the sizes. kInvalidArgument for Q8_0 where 32 does not
  // divide the size of keys and values.
  [[nodiscard]] static Result<KvCache> Create(const ModelConfig& config, size_t context,
                                              KvType type = KvType::kF16,
                                              KvKeep keep = KvKeep::kAll,
                                              KvStates states = KvStates::kOnly);
  // Movable; a deep copy is spelled CopyPrefixFrom.

  size_t length() const { return length_; }    // positions that are filled
  size_t context() const { return context_; }  // positions that fit
  size_t reserved_bytes() const { return reserved_bytes_; }
  size_t used_bytes() const {
    return ((length_ != 0 ? 1 : 0) + (saved_at_ != 0 ? 1 : 0)) * states_size_ * sizeof(float) +
           (length_ * whole_stride_ + (length_ - kept_from_) * window_stride_) / kAttentionBlock;
  }
  // Layers with a window keep no positions before this one.
  size_t kept_from() const { return kept_from_; }
  // What the states of the recurrent layers take.
  static size_t StateBytes(const ModelConfig& config);
  // What the keys and values of one position take, in all layers.
  static size_t BytesPerPosition(const ModelConfig& config, KvType type);
  // What a cache takes to which at most `batch` positions are appended at once.
  static KvCost Cost(const ModelConfig& config, KvType type, size_t batch,
                     KvStates states = KvStates::kOnly);

  // Makes room for n more positions at the end, to be written through the pointers below, and gives
  // back what none of them attends to. kContextExceeded, and nothing changed, if they do not fit.
  [[nodiscard]] Status Append(size_t n);
  // Keeps the first n positions. REQUIRES: n <= length(), and n is 0 or of what a token behind it
  // attends to nothing was given back. Unless n is 0 or length(), SetStates must follow.
  void Truncate(size_t n);
  // Empties the cache and gives its physical memory back to the system.
  void Reset();
  // Becomes a copy of the first n positions of other, which has the same model and type, and keeps
  // as much or more. REQUIRES: n <= other.length(), n <= context(); with states n ==
  // other.length().
  void CopyPrefixFrom(const KvCache& other, size_t n);
  // Makes room at the end for n positions that CopyFrom is about to bring. kContextExceeded as
  // Append.
  [[nodiscard]] Status AppendForCopy(size_t n);
  // Overwrites the n positions from `to` on with those of other from `from` on, but for what is not
  // kept here, and for the states. REQUIRES: multiples of kKeyGroup; n too, or both caches end
  // there; all are filled, and kept by other where they are here.
  void CopyFrom(const KvCache& other, size_t from, size_t to, size_t n);
  // The kKeyGroup positions from `position` on as bytes in one piece: of each layer and head its
  // keys, values and their scales. The same on every machine. REQUIRES: KvKeep::kAll; a multiple of
  // kKeyGroup; all are filled; group_bytes() bytes.
  size_t group_bytes() const {
    return (whole_stride_ + window_stride_) / (kAttentionBlock / kKeyGroup);
  }
  void ReadGroup(size_t position, std::span<uint8_t> bytes) const;
  void WriteGroup(size_t position, std::span<const uint8_t> bytes);

  KvView View(size_t layer, size_t kv_head) const;
  KvBlock Block(size_t layer, size_t kv_head, size_t position) const;  // that has the position
  // Converts and stores one position's key and value of one head. REQUIRES: position < length().
  void Store(const KernelTable& kernels, size_t layer, size_t kv_head, size_t position,
             const float* key /* [head.key] */, const float* value /* [head.value] */);

  // What recurrent layers keep, after length() positions; zeros after none. A layer's is first the
  // matrices of its value heads, [head_dim / kLanes][keys][kLanes], then the window of its
  // convolution, [taps - 1][channels], the oldest position first.
  float* State(size_t layer) { return states_ + layers_[layer].state; }
  // The states of all layers; empty where no layer has one.
  std::span<const float> states() const { return {states_, states_size_}; }
  // REQUIRES: those of another cache of the model, for the tokens that this one has.
  void SetStates(std::span<const float> states);
  // Copies the states; and goes back to them, to the length() of that time, as Truncate cannot.
  // REQUIRES: KvStates::kWithCopy; positions; as Truncate, a copy since the last Reset.
  void SaveStates();
  void RestoreStates();

 private:
  struct Unmap {
    size_t bytes;
    void operator()(uint8_t* memory) const;
  };
  struct Layer {
    uint8_t* blocks;
    bool window;  // it keeps no more than the window
    bool own;     // the blocks are no other layer's
    size_t kv_heads;
    HeadShape head;
    size_t state;  // where that of a recurrent layer begins
  };

  KvCache() = default;
  // Calls `visit` with each piece of the group of positions, and its size.
  template <class Visit>
  void VisitGroup(size_t position, const Visit& visit) const;
  // The first position that one at `position` attends to, in a layer with a window.
  size_t WindowBegin(size_t position) const {
    return position + 1 > window_ ? position + 1 - window_ : 0;
  }
  // Gives back what the layers with a window have before it.
  void ForgetBefore(size_t position);

  std::unique_ptr<uint8_t, Unmap> memory_;  // one mapping
  size_t reserved_bytes_ = 0;
  size_t whole_stride_ = 0, window_stride_ = 0;  // bytes of 64 positions, in each region
  uint8_t* windows_ = nullptr;                   // the region of the layers with a window
  float* states_ = nullptr;                      // and that of the recurrent layers
  size_t states_size_ = 0;
  float* saved_states_ = nullptr;
  size_t saved_at_ = 0;  // the length() that they are of; 0: there are none
  std::vector<Layer> layers_;
  size_t window_ = 0;
  KvType type_ = KvType::kF16;
  size_t context_ = 0, length_ = 0;
  size_t kept_from_ = 0;
  size_t released_bytes_ = 0;  // of windows_, from its beginning
};

}  // namespace lockstep
