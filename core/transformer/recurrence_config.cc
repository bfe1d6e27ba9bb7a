// What the metadata say of recurrent layers. A state has no positions that could be counted against
// the context, so its size is bounded by itself.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/transformer/layer_config.h"

namespace lockstep {
namespace {

constexpr size_t kMaxHeads = 1024;
constexpr size_t kMaxHeadDim = 1024;
constexpr uint64_t kMaxStateBytes = 1ull << 36;  // of one session

// The kernels take kLanes values at a time, and so many keys.
constexpr size_t kKeyStep = 4;

// The sizes of what keeps matrices. Those of a delta net have as many values as keys.
void ReadMatrices(MetadataKeys& keys, bool square, RecurrenceSizes& r) {
  r.taps = keys.NeedSize("ssm.conv_kernel", 2, kMaxTaps);
  r.keys = keys.NeedSize("ssm.state_size", kKeyStep, kMaxHeadDim);
  r.value_heads = keys.NeedSize("ssm.time_step_rank", 1, kMaxHeads);
  r.key_heads = keys.NeedSize("ssm.group_count", 1, kMaxHeads);
  r.inner = keys.NeedSize("ssm.inner_size", 1, kMaxHeads * kMaxHeadDim);
  if (!keys.status()) return;
  const size_t step = square ? kLanes : kKeyStep;
  if (r.keys % step != 0) {
    keys.Fail("ssm.state_size", fmt::to_string(r.keys),
              fmt::format("must be a multiple of {}", step));
  }
  if (r.value_heads % r.key_heads != 0) {
    keys.Fail("ssm.time_step_rank", fmt::to_string(r.value_heads),
              fmt::format("must be a multiple of group_count {}", r.key_heads));
  }
  r.head_dim = square ? r.keys : r.inner / r.value_heads;
  if (r.inner != r.value_heads * r.head_dim) {
    keys.Fail("ssm.inner_size", fmt::to_string(r.inner),
              square ? fmt::format("must be time_step_rank times state_size, {}",
                                   r.value_heads * r.head_dim)
                     : fmt::format("must be a multiple of time_step_rank {}", r.value_heads));
  } else if (r.head_dim % kLanes != 0 || r.head_dim > kMaxHeadDim) {
    keys.Fail("ssm.inner_size", fmt::to_string(r.inner),
              fmt::format("must be time_step_rank {} times a multiple of {}, at most {}",
                          r.value_heads, kLanes, kMaxHeadDim));
  }
  r.channels = 2 * r.key_dim() + r.inner;
}

// A flag for each layer, or all but the last of each period.
void FindDeltaNets(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  const char* const key = "attention.recurrent_layers";
  const GgufPair* pair = file.Find(keys.Name(key));
  std::vector<bool> flags;
  if (pair != nullptr && std::holds_alternative<GgufArray>(pair->value)) {
    flags = LayerFlags(file, keys, key, c);
  } else if (pair != nullptr) {
    keys.Fail(key, "one value", "must be an array of one for each layer");
  }
  size_t period = c.family->attention_period;
  if (flags.empty()) {
    period = keys.Size("full_attention_interval", 1, c.layers.size() + 1).value_or(period);
  }
  if (!keys.status()) return;
  for (size_t i = 0; i < c.layers.size(); ++i) {
    LayerConfig& layer = c.layers[i];
    layer.recurrent = flags.empty() ? (i + 1) % period != 0 : flags[i];
    if (layer.recurrent) layer.kv_heads = 0;
  }
}

void ReadShortConvolution(MetadataKeys& keys, ModelConfig& c) {
  c.recurrence.taps = keys.NeedSize("shortconv.l_cache", 2, kMaxTaps);
  c.recurrence.channels = c.recurrence.inner = c.dim;
}

// Rotations by three coordinates of an image's patch, which for text are one position; but what
// these sections leave for a fourth would not turn at all.
void CheckSections(const GgufFile& file, MetadataKeys& keys, const ModelConfig& c) {
  const char* key = "rope.dimension_sections";
  const auto read = file.GetInts(keys.Name(key));
  if (read && !*read) return;
  const std::vector<int32_t> sections = read ? **read : std::vector<int32_t>{};
  int64_t sum = 0;
  bool good = sections.size() == 4;
  for (const int32_t size : sections) {
    good &= size >= 0;
    sum += size;
  }
  for (size_t pair = 0; good && sum > 0 && pair < c.rope_dim / 2; ++pair) {
    const auto place = static_cast<size_t>(static_cast<int64_t>(pair) % sum);
    good = place < 3 * static_cast<size_t>(sections[place % 3]);
  }
  if (!good || sum == 0) {
    keys.Fail(key, read ? fmt::format("[{}]", fmt::join(sections, ", ")) : "not an array of i32",
              fmt::format("must be four sizes of which the first three share the {} pairs",
                          c.rope_dim / 2));
  }
}

}  // namespace

Status ReadRecurrence(const GgufFile& file, MetadataKeys& keys, ModelConfig& c) {
  // Where no key names the recurrent layers, what was read before has told which they are.
  switch (c.family->recurrence) {
    case Recurrence::kNone:
      return {};
    case Recurrence::kShortConvolution:
      ReadShortConvolution(keys, c);
      break;
    case Recurrence::kMamba2:
      ReadMatrices(keys, false, c.recurrence);
      c.recurrence.adjacent = true;
      break;
    case Recurrence::kDeltaNet:
      ReadMatrices(keys, true, c.recurrence);
      c.recurrence.adjacent = c.family->adjacent_value_heads;
      if (!c.recurrence.adjacent) CheckSections(file, keys, c);
      FindDeltaNets(file, keys, c);
      break;
  }
  TRY_OK(keys.status());
  if (std::ranges::none_of(c.layers, &LayerConfig::attends)) {
    return file.Fail("none of the layers attends, which lockstep needs at least one to do");
  }
  const size_t count = c.recurrent_count();
  const uint64_t bytes =
      count * sizeof(float) * (c.recurrence.window_floats() + c.recurrence.matrix_floats());
  if (bytes > kMaxStateBytes) {
    return file.Fail(
        fmt::format("{} recurrent layers keep {} bytes for each session, and the limit is {}",
                    count, bytes, kMaxStateBytes));
  }
  return {};
}

}  // namespace lockstep
