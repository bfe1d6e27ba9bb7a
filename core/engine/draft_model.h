// A second, smaller model that guesses the next tokens of answers where their own past says nothing
// (Drafter). A guess is kept only where it is the token that sampling gives: which model it is, and
// whether it guesses at all, changes no answer, only how soon it comes. It falls silent where what
// it costs is more than what it brings. The block of a model that guesses ahead (MtpWeights) is
// such a model, too: it reads what the other made of a text beside the text. Not thread-safe: the
// scheduler's thread's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/engine/hidden_trail.h"
#include "core/engine/sampler.h"
#include "core/engine/step_pacer.h"
#include "core/kernels/thread_pool.h"
#include "core/tokenizer/tokenizer.h"
#include "core/transformer/kv_cache.h"
#include "core/transformer/scratch.h"
#include "core/transformer/transformer.h"

namespace lockstep {

// A text of which the next tokens are wanted. What it points to must outlive the call.
struct DraftTask {
  const void* owner;                        // the same one: the same text, grown
  std::span<const int32_t> prompt, output;  // together at least one token
  const SamplingParams* sampling;
  std::span<const uint64_t> allowed;  // a bit for each token that may be next; empty: all may
  size_t most;                        // tokens to guess
  std::vector<int32_t>* guess;        // gets them, or none; has room for so many
};

struct DraftModelOptions {
  size_t texts = 1;      // that it follows at once: each has a cache
  size_t context = 0;    // positions of each cache, at most the model's
  size_t vocab = 0;      // of the model that it guesses for
  size_t threads = 1;    // of the pool
  size_t longest_draft;  // tokens
  KvType kv_type = KvType::kF16;
};

class DraftModel {
 public:
  // A cache of more positions would bring nothing: see kReads in the source.
  static constexpr size_t kContext = 2048;

  // `transformer` must outlive it. Errors are KvCache::Create's.
  [[nodiscard]] static Result<std::unique_ptr<DraftModel>> Create(const Transformer& transformer,
                                                                  const DraftModelOptions& options);
  // The bytes of a cache, and of all that there is beside the caches and the weights.
  static size_t CacheBytes(const ModelConfig& config, const DraftModelOptions& options);
  static size_t OtherBytes(const ModelConfig& config, const DraftModelOptions& options);
  // Whether what `draft` says means the same to the model with `tokenizer`: a token is a number to
  // both. Tokens that only one has, and the first few, may differ. kInvalidArgument says in what
  // they do.
  [[nodiscard]] static Status CheckVocabulary(const Tokenizer& tokenizer, const Tokenizer& draft);

  // What the model that it guesses for has made of the `tokens` positions from `position` on: the
  // entry `entry` of the last Forward with `scratch`. A text's states are remembered from when
  // there is a cache for it; without those before it reads from there. For a block that guesses
  // ahead; others need it not, and do nothing.
  void Follow(const DraftTask& task, const Scratch& scratch, size_t entry, size_t position,
              size_t tokens);
  // Guesses for all tasks at once, as far as that is worth its time beside steps of `pacer` in
  // which so many streams decode. Nothing is guessed where memory or anything else does not
  // suffice.
  void Draft(std::span<DraftTask> tasks, const StepPacer& pacer, size_t streams, ThreadPool& pool);
  // How likely the next guess for a text is right; 0 where none is to be expected.
  double Hope(const void* owner) const;
  // The text has ended: its cache is free, and its memory the system's.
  void Forget(const void* owner);
  size_t texts() const { return readers_.size(); }

 private:
  // How many guesses of one kind were right, and of how many. A kind is how likely the model took
  // a guess to be.
  struct Record {
    float right, all;
  };
  static constexpr size_t kKinds = 9;

  // What it has read of one text: the first token and those behind the next `left_out`. A block
  // that guesses ahead reads the tokens behind the first `left_out` + 1, each with the hidden state
  // before it.
  struct Reader {
    KvCache kv;
    Sampler sampler;
    const void* owner = nullptr;
    size_t left_out = 0;
    // The last guess with the kind of each token, behind so many tokens of the text, and how many
    // of them are in the cache.
    std::vector<int32_t> guess = {};
    std::vector<uint8_t> kinds = {};
    size_t guess_at = 0, fed = 0;
    double hope = 0;   // moving mean of how often the first token of a guess is right
    size_t tried = 0;  // tokens of the answer when it guessed last
    bool speaks = false;
    std::vector<int32_t> next = {};  // to be fed now
    HiddenTrail trail = {};
    std::vector<float> hidden = {};  // [next.size()][dim], where the block wants them
    double chance = 0;               // that all of the guess is right
  };
  struct Turn {
    DraftTask* task;
    Reader* reader;
    bool reads;  // there is more of the text than fits into this round
  };

  DraftModel(const Transformer& transformer, const DraftModelOptions& options,
             std::vector<Reader> readers);
  Reader* ReaderOf(const DraftTask& task);
  void Begin(Reader& reader, const DraftTask& task);
  // Compares the last guess with what followed, and takes the cache back to what is right.
  void Learn(Reader& reader, const DraftTask& task);
  // Chooses what is to be read, of which the cache may have a part. False where nothing can be.
  bool Place(Reader& reader, const DraftTask& task) const;
  // The tokens of the text that it may read, and those that it has not.
  size_t Readable(const DraftTask& task) const {
    return task.prompt.size() + task.output.size() - (mtp_ ? 1 : 0);
  }
  size_t Unread(const DraftTask& task, const Reader& reader) const {
    return Readable(task) - reader.left_out - reader.kv.length();
  }
  bool IsWorthIt(Reader& reader, const DraftTask& task, const StepPacer& pacer, double least) const;
  void TakeUnread(const DraftTask& task, Reader& reader, size_t n) const;
  // One pass over the tokens that are next of all turns. False where it fails.
  bool Forward(ThreadPool& pool);
  // The next token of the guess, unless there is to be none: then false.
  bool Guess(Turn& turn, std::span<const float> logits, double least_of_row);

  Record& RecordOf(const Reader& reader, const DraftTask& task, size_t i);

  const Transformer& transformer_;
  const bool mtp_;      // it is a block that guesses ahead
  const size_t vocab_;  // tokens that both models have
  const size_t reads_;  // tokens of a text that are read at most when it is begun
  Scratch scratch_;
  StepPacer pacer_;  // of its own rounds
  std::vector<Reader> readers_;
  std::array<std::array<Record, kKinds>, 2> records_;  // of the likeliest tokens, and of drawn ones
  double hope_;                                        // as a reader's, over all texts
  std::vector<Turn> turns_;
  std::vector<BatchEntry> batch_;
  std::vector<size_t> rows_;        // [i]: the row of logits of turns_[i]
  std::vector<uint8_t> continues_;  // [i]: whether turns_[i] has another round
};

}  // namespace lockstep
