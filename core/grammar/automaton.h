// What a grammar may go on with after each text: a lazily built deterministic automaton over bytes.
// Its configurations are sets of (state, frame), where a frame is a node of a graph-structured
// stack and says where a called rule goes on afterwards, so that an ambiguous grammar costs
// polynomial time and not exponential. Belongs to one matcher and one thread.
//
// Everything that Next says is a function of the grammar and the bytes since Start alone. Beyond
// kMaxDepth calls inside of each other, or kMaxHeads ways to read the text, a byte is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/grammar/grammar.h"

namespace lockstep {

// What identifies a configuration wherever it is met; equal for configurations that go on alike for
// the next Grammar::kReach bytes.
struct ConfigKey {
  uint64_t a = 0, b = 0;
  bool operator==(const ConfigKey&) const = default;
};

class GrammarAutomaton {
 public:
  using Config = uint32_t;
  static constexpr Config kDead = 0;  // the byte is refused
  static constexpr size_t kMaxDepth = 1 << 16;
  static constexpr size_t kMaxHeads = 1 << 13;

  explicit GrammarAutomaton(const Grammar& grammar);

  Config start() const { return start_; }
  // REQUIRES: config is not kDead.
  Config Next(Config config, uint8_t byte) {
    return NextOfClass(config, grammar_->byte_class(byte));
  }
  Config NextOfClass(Config config, uint8_t byte_class) {
    const Config next = next_[config * classes_ + byte_class];
    return next != kUnknown ? next : Compute(config, byte_class);
  }
  bool complete(Config config) const { return configs_[config].complete; }
  // How many ways there are to read the next byte; 0: the text can only end here.
  size_t heads(Config config) const { return configs_[config].end - configs_[config].begin; }
  // The byte that comes next where there is no choice: no other one, and no end.
  std::optional<uint8_t> only_byte(Config config) const;
  const ConfigKey& key(Config config) const { return configs_[config].key; }

  // Whether the configuration is met for the first time since StartCounting.
  bool CountsFirst(Config config) {
    if (counted_[config] == count_) return false;
    counted_[config] = count_;
    return true;
  }
  void StartCounting() { ++count_; }

  // What has been done so far: places followed, and what Forget has carried over.
  uint64_t work() const { return work_done_; }

  // Whether so much is kept that Forget should be called.
  bool full() const { return size() > kept_; }
  size_t bytes() const;  // of memory, about
  // Forgets all but `live`, whose numbers it replaces by their new ones. start() is gone then.
  void Forget(std::span<Config> live);

 private:
  using Frame = uint32_t;
  static constexpr Config kUnknown = UINT32_MAX;
  static constexpr Frame kBottom = 0;  // below the root rule
  static constexpr size_t kKept = size_t{1} << 18;

  // A state, and the frame that its rule goes on at. As an edge of a frame: where it goes on. At a
  // kRepeat, how many times its rule has been matched; 0 at all others.
  struct Head {
    uint32_t state;
    Frame frame;
    uint32_t count = 0;
    // clang-tidy 14 sees a 0 in what the compiler makes of this.
    // NOLINTNEXTLINE(modernize-use-nullptr)
    auto operator<=>(const Head&) const = default;
  };
  struct FrameRecord {
    uint32_t begin, end;  // edges, in edges_
    uint32_t depth;
    ConfigKey key;
  };
  struct ConfigRecord {
    uint32_t begin, end;  // heads, in heads_
    bool complete;
    ConfigKey key;
  };

  size_t size() const;  // of the largest array
  Config Compute(Config config, uint8_t byte_class);
  // The configuration of all that can be reached from work_ without a byte.
  Config Close();
  void Follow(Head head);
  void Call(uint32_t rule, Head then);
  bool See(Head head);  // false if it was seen since the last clearing
  Frame InternFrame(std::vector<Head>& edges);
  Config InternConfig();
  uint64_t PlaceOf(const Head& head) const;
  ConfigKey KeyOf(std::span<const Head> heads, uint64_t seed) const;

  const Grammar* grammar_;
  size_t classes_;
  Config start_ = kDead;
  size_t kept_ = kKept;  // size() beyond which Forget is due

  std::vector<FrameRecord> frames_;
  std::vector<Head> edges_;
  std::vector<ConfigRecord> configs_;
  std::vector<Head> heads_;
  std::vector<Config> next_;       // [configs, classes]
  std::vector<uint64_t> counted_;  // [configs] by which counting last
  uint64_t count_ = 0;
  std::unordered_multimap<uint64_t, Frame> frame_ids_;    // by hash
  std::unordered_multimap<uint64_t, Config> config_ids_;  // by hash

  // Scratch that Close reuses from call to call, so that a step allocates nothing.
  std::vector<Head> work_, found_;
  std::vector<std::vector<Head>> calls_;  // [rules] where to go on after the rule
  std::vector<uint32_t> called_;          // a heap of rules' order, the smallest in front
  bool complete_ = false, too_large_ = false;
  // A hash table; the number says in which call of Close the entry was made, so that no call has to
  // clear what the last one left.
  std::vector<std::pair<Head, uint32_t>> seen_;
  uint32_t time_ = 0;
  size_t seen_count_ = 0;
  uint64_t work_done_ = 0;
};

}  // namespace lockstep
