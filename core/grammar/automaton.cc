// A grammar is a recursive transition network (Woods, 1970): an automaton for each rule, with
// calls. Reading a text by it takes a stack of places to return to, and a text that can be read in
// several ways has several stacks. They are kept as one graph-structured stack (Tomita, 1985; in
// the form of the GLL parsers of Scott and Johnstone, 2010): a frame is a node, its edges say where
// the text may go on after the called rule and on which frame below. For
//   root ::= "[" root "]" | "x"
// with `open` before "[" or "x", and `close` before "]":
//
//   text      heads (state @ frame)       the frame in use, and its edges
//   ""        open @ bottom
//   "["       open @ f1                   f1: close @ bottom
//   "[["      open @ f2                   f2: close @ f1
//   "[[x"     close @ f1                  the end of root at f2 has followed the edge of f2
//   "[[x]"    close @ bottom
//
// All calls of one rule at one place in the text share one frame. Of
//   s ::= "a" s "b" | "a" s "c" | ""
// the text "aaa" has eight stacks, but three frames of two edges each: time and memory are
// polynomial in the length of the text, however ambiguous the grammar is.
//
// On top of that stands a deterministic automaton that is built as it is used (the lazy subset
// construction of RE2's and grep's DFAs): a set of heads is a configuration, equal sets are
// interned as one, and what a byte leads to is computed once (Compute) and then read from a table
// (Next).
//
// A frame never changes once it is interned, so that equal frames can be one and have a key that is
// computed once. For this all callers of a rule must be known before the rule is entered: Close
// follows rules in an order in which callers come first, which exists because no rule calls itself
// before it has matched a byte. Two more short cuts keep stacks small: a call with nothing behind
// it leaves no frame (as tail calls do), and a rule that matches nothing is passed over.
//
// Forget is a copying collector: it keeps what the live configurations reach and renumbers it.
#include "core/grammar/automaton.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace lockstep {
namespace {

// How many frames may be in use at once. Only a grammar that is made for it needs so many.
constexpr size_t kMostFrames = size_t{1} << 21;

// Places that one byte may lead to, each counted as often as it is come to: about ten milliseconds,
// which is as long as nothing can interrupt.
constexpr size_t kMostFollowed = size_t{1} << 18;

constexpr size_t kFirstSeen = 256;  // a power of two
constexpr uint64_t kFrameSeed = 1, kConfigSeed = 2;

// splitmix64's finaliser (Steele et al., 2014).
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// `head` joined to what `hash` is of.
template <class Head>
uint64_t Hash(uint64_t hash, const Head& head) {
  return Mix(hash * 3 + (uint64_t{head.state} << 32 | head.frame) + (uint64_t{head.count} << 44));
}

}  // namespace

GrammarAutomaton::GrammarAutomaton(const Grammar& grammar)
    : grammar_(&grammar), classes_(grammar.classes()), calls_(grammar.rules()), seen_(kFirstSeen) {
  configs_.push_back({0, 0, false, {}});  // kDead
  counted_.push_back(0);
  next_.assign(classes_, kDead);
  frames_.push_back({0, 0, 0, {kFrameSeed, kFrameSeed}});  // kBottom
  work_.push_back({grammar.start(grammar.root()), kBottom});
  start_ = Close();
}

std::optional<uint8_t> GrammarAutomaton::only_byte(Config config) const {
  const ConfigRecord& record = configs_[config];
  if (record.complete || record.begin == record.end) return std::nullopt;
  const uint8_t byte = grammar_->state(heads_[record.begin].state).low;
  for (uint32_t i = record.begin; i < record.end; ++i) {
    const Grammar::State& state = grammar_->state(heads_[i].state);
    if (state.low != byte || state.high != byte) return std::nullopt;
  }
  return byte;
}

GrammarAutomaton::Config GrammarAutomaton::Compute(Config config, uint8_t byte_class) {
  const uint8_t byte = grammar_->representative(byte_class);
  const ConfigRecord record = configs_[config];
  work_.clear();
  for (uint32_t i = record.begin; i < record.end; ++i) {
    const Head head = heads_[i];
    const Grammar::State& state = grammar_->state(head.state);
    if (state.low <= byte && byte <= state.high) work_.push_back({state.next, head.frame});
  }
  const Config next = work_.empty() ? kDead : Close();
  next_[config * classes_ + byte_class] = next;
  return next;
}

// Open addressing with linear probing: this is asked once for each place that a byte leads to.
bool GrammarAutomaton::See(Head head) {
  if (2 * ++seen_count_ > seen_.size()) {
    std::vector<std::pair<Head, uint32_t>> old(2 * seen_.size());
    old.swap(seen_);
    seen_count_ = 0;
    const uint32_t time = std::exchange(time_, 1);
    for (const auto& [entry, when] : old) {
      if (when == time) See(entry);
    }
    ++seen_count_;
  }
  const size_t mask = seen_.size() - 1;
  for (size_t i = Hash(0, head) & mask;; i = (i + 1) & mask) {
    if (seen_[i].second != time_) {
      seen_[i] = {head, time_};
      return true;
    }
    if (seen_[i].first == head) {
      --seen_count_;
      return false;
    }
  }
}

void GrammarAutomaton::Call(uint32_t rule, Head then) {
  if (frames_[then.frame].depth >= kMaxDepth) return;
  std::vector<Head>& edges = calls_[rule];
  if (edges.empty()) {
    called_.push_back(grammar_->order(rule));
    std::ranges::push_heap(called_, std::greater<>());
  }
  edges.push_back(then);
}

void GrammarAutomaton::Follow(Head head) {
  const Grammar::State& state = grammar_->state(head.state);
  switch (state.kind) {
    case Grammar::Kind::kByte:
      found_.push_back(head);
      return;
    case Grammar::Kind::kSplit:
      work_.push_back({state.next, head.frame});
      work_.push_back({state.other, head.frame});
      return;
    case Grammar::Kind::kCall: {
      if (grammar_->state(state.next).kind == Grammar::Kind::kAccept) {
        // Nothing comes after the call, so what the caller goes on at will do: a list that is
        // written as a rule which ends in itself needs no stack.
        work_.push_back({grammar_->start(state.other), head.frame});
        return;
      }
      // A rule that matches nothing here is passed over; its frame is for what it matches later.
      if (state.nullable) work_.push_back({state.next, head.frame});
      Call(state.other, {state.next, head.frame});
      return;
    }
    case Grammar::Kind::kRepeat: {
      const Grammar::Repeat& bounds = grammar_->repeat(state);
      if (head.count >= bounds.min) work_.push_back({state.next, head.frame});
      if (head.count < bounds.max) Call(state.other, {head.state, head.frame, head.count + 1});
      return;
    }
    case Grammar::Kind::kAccept: {
      if (head.frame == kBottom) complete_ = true;
      const FrameRecord frame = frames_[head.frame];
      work_.insert(work_.end(), edges_.begin() + frame.begin, edges_.begin() + frame.end);
      return;
    }
    case Grammar::Kind::kDead:
      return;
  }
}

// The epsilon closure: from work_ to all that can be reached without a byte. Within a rule the
// order does not matter; between rules callers come first, by way of the heap called_.
GrammarAutomaton::Config GrammarAutomaton::Close() {
  found_.clear();
  complete_ = too_large_ = false;
  seen_count_ = 0;
  if (++time_ == 0) {  // the table's times have come round
    seen_.assign(kFirstSeen, {});
    time_ = 1;
  }
  size_t followed = 0;
  while (true) {
    while (!work_.empty()) {
      const Head head = work_.back();
      work_.pop_back();
      ++followed;
      if (!See(head)) continue;
      Follow(head);
      if (seen_count_ > 8 * kMaxHeads || found_.size() > kMaxHeads ||
          followed + work_.size() > kMostFollowed) {
        too_large_ = true;
        work_.clear();
      }
    }
    if (called_.empty()) break;
    // Whoever calls this rule at this place in the text has been followed: its order is the least.
    std::ranges::pop_heap(called_, std::greater<>());
    const uint32_t rule = grammar_->rule_at(called_.back());
    called_.pop_back();
    too_large_ = too_large_ || frames_.size() >= kMostFrames;
    if (!too_large_) work_.push_back({grammar_->start(rule), InternFrame(calls_[rule])});
    calls_[rule].clear();
  }
  work_done_ += followed;
  if (too_large_ || (found_.empty() && !complete_)) return kDead;
  return InternConfig();
}

uint64_t GrammarAutomaton::PlaceOf(const Head& head) const {
  const Grammar::State& state = grammar_->state(head.state);
  if (state.kind != Grammar::Kind::kRepeat) return head.state;
  // Each time takes a byte, so that counts that are this far from both bounds go on alike.
  constexpr uint32_t kFar = Grammar::kReach + 1;
  const Grammar::Repeat& bounds = grammar_->repeat(state);
  const uint32_t missing = bounds.min - std::min(bounds.min, head.count);
  const uint32_t left = bounds.max - head.count;
  return head.state + Mix(uint64_t{std::min(missing, kFar)} << 32 | std::min(left, kFar));
}

// 128 bits that stand for what the heads are and not for how this automaton has numbered them, so
// that every matcher of a grammar finds the masks of the others.
ConfigKey GrammarAutomaton::KeyOf(std::span<const Head> heads, uint64_t seed) const {
  ConfigKey key{Mix(seed), Mix(~seed)};
  for (const Head& head : heads) {  // a sum: the order of the frames is this automaton's own
    const uint64_t place = PlaceOf(head);
    const ConfigKey& frame = frames_[head.frame].key;
    key.a += Mix(Mix(place + 3) + frame.a);
    key.b += Mix(Mix(place + 5) ^ frame.b);
  }
  return {Mix(key.a), Mix(key.b)};
}

GrammarAutomaton::Frame GrammarAutomaton::InternFrame(std::vector<Head>& edges) {
  std::ranges::sort(edges);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  uint64_t hash = kFrameSeed;
  uint32_t depth = 0;
  for (const Head& edge : edges) {
    hash = Hash(hash, edge);
    depth = std::max(depth, frames_[edge.frame].depth);
  }
  const auto [begin, end] = frame_ids_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const FrameRecord& other = frames_[it->second];
    if (std::equal(edges.begin(), edges.end(), edges_.begin() + other.begin,
                   edges_.begin() + other.end)) {
      return it->second;
    }
  }
  FrameRecord frame;
  frame.begin = static_cast<uint32_t>(edges_.size());
  edges_.insert(edges_.end(), edges.begin(), edges.end());
  frame.end = static_cast<uint32_t>(edges_.size());
  frame.depth = depth + 1;
  frame.key = KeyOf(edges, kFrameSeed);
  frames_.push_back(frame);
  const auto id = static_cast<Frame>(frames_.size() - 1);
  frame_ids_.emplace(hash, id);
  return id;
}

GrammarAutomaton::Config GrammarAutomaton::InternConfig() {
  std::ranges::sort(found_);
  uint64_t hash = kConfigSeed + complete_;
  for (const Head& head : found_) {
    hash = Hash(hash, head);
  }
  const auto [begin, end] = config_ids_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const ConfigRecord& other = configs_[it->second];
    if (other.complete == complete_ &&
        std::equal(found_.begin(), found_.end(), heads_.begin() + other.begin,
                   heads_.begin() + other.end)) {
      return it->second;
    }
  }
  ConfigRecord config;
  config.begin = static_cast<uint32_t>(heads_.size());
  heads_.insert(heads_.end(), found_.begin(), found_.end());
  config.end = static_cast<uint32_t>(heads_.size());
  config.complete = complete_;
  config.key = KeyOf(found_, kConfigSeed);
  configs_.push_back(config);
  counted_.push_back(0);
  next_.resize(next_.size() + classes_, kUnknown);
  const auto id = static_cast<Config>(configs_.size() - 1);
  config_ids_.emplace(hash, id);
  return id;
}

void GrammarAutomaton::Forget(std::span<Config> live) {
  std::vector<uint8_t> frame_lives(frames_.size());
  for (const Config config : live) {
    for (uint32_t i = configs_[config].begin; i < configs_[config].end; ++i) {
      frame_lives[heads_[i].frame] = 1;
    }
  }
  for (size_t i = frames_.size(); i-- > 0;) {  // a frame's edges lead to older ones
    if (!frame_lives[i]) continue;
    for (uint32_t k = frames_[i].begin; k < frames_[i].end; ++k) frame_lives[edges_[k].frame] = 1;
  }
  work_done_ += size();
  const auto old_frames = std::exchange(frames_, {frames_[kBottom]});
  const auto old_edges = std::exchange(edges_, {});
  frame_ids_.clear();
  std::vector<Frame> new_frame(old_frames.size(), kBottom);
  std::vector<Head> edges;
  for (size_t i = 1; i < old_frames.size(); ++i) {
    if (!frame_lives[i]) continue;
    edges.assign(old_edges.begin() + old_frames[i].begin, old_edges.begin() + old_frames[i].end);
    for (Head& edge : edges) edge.frame = new_frame[edge.frame];
    new_frame[i] = InternFrame(edges);
  }

  const auto old_configs = std::exchange(configs_, {configs_[kDead]});
  const auto old_heads = std::exchange(heads_, {});
  config_ids_.clear();
  counted_.assign(1, 0);
  next_.assign(classes_, kDead);
  start_ = kDead;
  for (Config& config : live) {
    if (config == kDead) continue;
    const ConfigRecord& record = old_configs[config];
    found_.assign(old_heads.begin() + record.begin, old_heads.begin() + record.end);
    for (Head& head : found_) head.frame = new_frame[head.frame];
    complete_ = record.complete;
    config = InternConfig();
  }
  kept_ = std::max(kKept, 2 * size());
}

size_t GrammarAutomaton::bytes() const {
  // A node of a hash table: a link, the hash, the pair, and what the heap adds.
  constexpr size_t kNode = 48;
  const auto of = [](const auto& items) { return items.capacity() * sizeof(items[0]); };
  return of(frames_) + 2 * of(edges_) + of(configs_) + of(heads_) + of(next_) + of(counted_) +
         of(work_) + of(found_) + of(calls_) + of(called_) + of(seen_) +
         (frame_ids_.size() + config_ids_.size()) * kNode +
         (frame_ids_.bucket_count() + config_ids_.bucket_count()) * sizeof(void*);
}

size_t GrammarAutomaton::size() const {
  return std::max({next_.size(), heads_.size(), edges_.size(), frames_.size()});
}

}  // namespace lockstep
