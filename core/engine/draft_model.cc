// The model has a cache for each text, and follows what became of the text: what was guessed
// and is right is there already, what is wrong is cut off, and the states of recurrent layers go
// back to the copy that was made before the guess (KvCache::SaveStates). With the tokens a to d
// known, e and f guessed, and e x the answer:
//
//   in the cache  a b c d e     guessed  e f     then known  a b c d e x     to be read  x
//
// A text is not read whole. What comes next is mostly said by what came last: drafts of models that
// see some hundred tokens, and the first one, to which attention clings, are right nearly as often
// (StreamingLLM, Xiao et al., 2024; TriForce, Sun et al., 2024; MagicDec, Chen et al., 2024), and
// what is quoted from far away is the other Drafter's. So that to begin takes a bounded time, and a
// cache a bounded memory.
//
// The token that is guessed is the one that the request's own sampling draws from this model's
// logits: with the same uniform number two distributions that are alike give the same token more
// often than the likeliest one of either would be right.
//
// What is worth its time: with n streams at s seconds a step, a guess that is right with chance p
// brings p tokens for r seconds, those of its row and of the round that made it: worth it where
// p / r > n / s (StepPacer::LeastChance). p is learned, by what the model took it to be. To begin
// with a text takes reading it, which is done once the answer has taken as long as that will: an
// answer that ends soon is not worth it, and no answer takes twice as long. A model that is hardly
// ever right is asked again only so often that it costs a few hundredths of the time.
#include "core/engine/draft_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>
#include <utility>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

// Tokens of a text that are read when it is begun, and rows of one round.
constexpr size_t kReads = 512, kRows = 256;
// Vocabularies of one family are padded to different sizes, and their first tokens have names like
// <unk> or <pad>: the same bounds as llama.cpp's.
constexpr size_t kVocabDifference = 128, kFirstTokens = 5;
// The shares that divide the kinds, and the records' first guesses of each.
constexpr std::array<double, 8> kShares = {0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97};
constexpr std::array<float, 9> kFirstShares = {0.05f, 0.15f, 0.25f, 0.4f, 0.55f,
                                               0.7f,  0.8f,  0.9f,  0.95f};
constexpr float kFirstGuesses = 4, kManyGuesses = 128;
constexpr double kFirstHope = 0.6, kSmoothing = 0.1, kAllSmoothing = 0.02;
constexpr double kTrialShare = 0.03;  // of the time, for a model of which nothing is hoped

size_t TextSize(const DraftTask& task) { return task.prompt.size() + task.output.size(); }

int32_t At(const DraftTask& task, size_t i) {
  return i < task.prompt.size() ? task.prompt[i] : task.output[i - task.prompt.size()];
}

size_t WholeBlocks(size_t positions) {
  return (positions + kAttentionBlock - 1) / kAttentionBlock * kAttentionBlock;
}

// How many tokens of a long text are read when it is begun.
size_t Reads(const DraftModelOptions& options) { return std::min(kReads, options.context / 2); }

// What is to be read, and what became of wrong guesses behind it.
size_t TrailRows(const DraftModelOptions& options) {
  return Reads(options) + options.longest_draft + 1;
}

}  // namespace

size_t DraftModel::CacheBytes(const ModelConfig& config, const DraftModelOptions& options) {
  const size_t hidden_rows = config.mtp ? TrailRows(options) + kRows : 0;
  return WholeBlocks(options.context) * KvCache::BytesPerPosition(config, options.kv_type) +
         2 * KvCache::StateBytes(config) + KvCache::kPageWaste +
         hidden_rows * config.dim * sizeof(float);
}

size_t DraftModel::OtherBytes(const ModelConfig& config, const DraftModelOptions& options) {
  return Scratch::Bytes(config, kRows + options.texts, options.texts, options.threads) +
         options.texts * Sampler::Bytes(std::min(config.vocab, options.vocab));
}

Status DraftModel::CheckVocabulary(const Tokenizer& tokenizer, const Tokenizer& draft) {
  const auto fail = [](const std::string& difference) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("the draft model has another vocabulary: {}; give one of the same "
                            "family",
                            difference));
  };
  const size_t n = tokenizer.vocab_size(), m = draft.vocab_size();
  if (std::max(n, m) - std::min(n, m) > kVocabDifference) {
    return fail(fmt::format("{} tokens and not {}, where at most {} more or less are allowed", m, n,
                            kVocabDifference));
  }
  const auto bos = [](const Tokenizer& t) { return t.adds_bos() ? t.bos() : -1; };
  if (bos(tokenizer) != bos(draft)) {
    return fail(fmt::format("a text begins with token {} and not with {} (-1: with none)",
                            bos(draft), bos(tokenizer)));
  }
  for (size_t i = kFirstTokens; i < std::min(n, m); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokenizer.TokenText(id) == draft.TokenText(id)) continue;
    return fail(fmt::format("token {} is {} and not {}", i, Quoted(draft.TokenText(id)),
                            Quoted(tokenizer.TokenText(id))));
  }
  return {};
}

Result<std::unique_ptr<DraftModel>> DraftModel::Create(const Transformer& transformer,
                                                       const DraftModelOptions& options) {
  std::vector<Reader> readers;
  for (size_t i = 0; i < options.texts; ++i) {
    TRY(KvCache kv, KvCache::Create(transformer.config(), options.context, options.kv_type,
                                    KvKeep::kAll, KvStates::kWithCopy));
    readers.push_back({.kv = std::move(kv),
                       .sampler = Sampler(std::min(transformer.config().vocab, options.vocab),
                                          transformer.kernels())});
    readers.back().guess.reserve(options.longest_draft);
    readers.back().kinds.reserve(options.longest_draft);
    readers.back().next.reserve(kRows);
    if (!transformer.config().mtp) continue;
    const size_t dim = transformer.config().dim;
    readers.back().trail = HiddenTrail(TrailRows(options), dim);
    readers.back().hidden.reserve(kRows * dim);
  }
  return std::unique_ptr<DraftModel>(new DraftModel(transformer, options, std::move(readers)));
}

DraftModel::DraftModel(const Transformer& transformer, const DraftModelOptions& options,
                       std::vector<Reader> readers)
    : transformer_(transformer),
      mtp_(transformer.config().mtp),
      vocab_(std::min(transformer.config().vocab, options.vocab)),
      reads_(Reads(options)),
      scratch_(transformer.config(), kRows + options.texts, options.texts, options.threads),
      pacer_(kRows),
      readers_(std::move(readers)),
      hope_(kFirstHope) {
  for (auto& records : records_) {
    for (size_t kind = 0; kind < kKinds; ++kind) {
      records[kind] = {kFirstShares[kind] * kFirstGuesses, kFirstGuesses};
    }
  }
  turns_.reserve(readers_.size());
  batch_.reserve(readers_.size());
  rows_.resize(readers_.size());
  continues_.resize(readers_.size());
}

void DraftModel::Draft(std::span<DraftTask> tasks, const StepPacer& pacer, size_t streams,
                       ThreadPool& pool) try {
  turns_.clear();
  const double of_row = pacer.LeastChance(streams);
  const double least =
      pacer.LeastChance(streams, pacer_.decode_s() / static_cast<double>(tasks.size()));
  size_t budget = std::max(tasks.size(), pacer_.PrefillTokens(1) / 2);  // half of a stream's pause
  for (DraftTask& task : tasks) {
    task.guess->clear();
    Reader* const reader = ReaderOf(task);
    if (reader == nullptr) continue;
    Learn(*reader, task);
    reader->speaks =
        task.most > 0 && Place(*reader, task) && IsWorthIt(*reader, task, pacer, least);
    if (!reader->speaks) continue;
    const size_t unread = Unread(task, *reader);
    const size_t n = std::min(unread, budget);
    if (n == 0) continue;
    budget -= n;
    TakeUnread(task, *reader, n);
    turns_.push_back({&task, reader, n < unread});
    if (n == unread) reader->tried = task.output.size();
  }
  while (!turns_.empty() && Forward(pool)) {
    pool.ParallelFor(turns_.size(), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        continues_[i] = !turns_[i].reads && Guess(turns_[i], scratch_.logits(rows_[i]), of_row) &&
                        turns_[i].reader->chance * turns_[i].reader->hope >= least;
      }
    });
    size_t kept = 0;
    for (size_t i = 0; i < turns_.size(); ++i) {
      if (continues_[i] == 0) continue;
      Reader& reader = *turns_[i].reader;
      if (reader.fed == 0 && !reader.kv.states().empty()) reader.kv.SaveStates();
      reader.next.assign(1, reader.guess.back());
      if (mtp_) {
        const std::span<const float> own = scratch_.token_vector(i, batch_[i].tokens.size() - 1);
        reader.hidden.assign(own.begin(), own.end());
      }
      ++reader.fed;
      turns_[kept++] = turns_[i];
    }
    turns_.resize(kept);
  }
} catch (const std::bad_alloc&) {
  // What was left half done is not known.
  for (Reader& reader : readers_) Forget(reader.owner);
  for (const DraftTask& task : tasks) task.guess->clear();
}

void DraftModel::Follow(const DraftTask& task, const Scratch& scratch, size_t entry,
                        size_t position, size_t tokens) try {
  Reader* const reader = mtp_ ? ReaderOf(task) : nullptr;
  if (reader == nullptr) return;
  for (size_t i = 0; i < tokens; ++i) {
    reader->trail.Put(position + i, scratch.token_vector(entry, i));
  }
} catch (const std::bad_alloc&) {
  Forget(task.owner);
}

double DraftModel::Hope(const void* owner) const {
  const auto reader = std::ranges::find(readers_, owner, &Reader::owner);
  return reader != readers_.end() && reader->speaks ? reader->hope : 0;
}

void DraftModel::Forget(const void* owner) {
  const auto reader = std::ranges::find(readers_, owner, &Reader::owner);
  if (owner == nullptr || reader == readers_.end()) return;
  reader->owner = nullptr;
  reader->kv.Reset();
  reader->trail.Clear();
  reader->sampler.Reset({}, {});
}

// A text keeps its cache until it ends: to read another one in its place takes too long to be done
// for each step.
DraftModel::Reader* DraftModel::ReaderOf(const DraftTask& task) {
  for (const void* const owner : {task.owner, static_cast<const void*>(nullptr)}) {
    const auto reader = std::ranges::find(readers_, owner, &Reader::owner);
    if (reader == readers_.end()) continue;
    if (owner == nullptr) Begin(*reader, task);
    return &*reader;
  }
  return nullptr;
}

void DraftModel::Begin(Reader& reader, const DraftTask& task) {
  Forget(reader.owner);
  // Penalties are left to the model that answers: to count tokens twice is not worth it.
  SamplingParams params = *task.sampling;
  params.repetition_penalty = 1;
  params.presence_penalty = params.frequency_penalty = params.dry.multiplier = 0;
  params.logprobs = 0;
  std::erase_if(params.logit_bias,
                [&](const auto& bias) { return static_cast<size_t>(bias.first) >= vocab_; });
  reader.sampler.Reset(params, {});
  reader.owner = task.owner;
  reader.left_out = reader.guess_at = reader.fed = reader.tried = 0;
  reader.guess.clear();
  reader.kinds.clear();
  reader.hope = hope_;
  reader.speaks = false;
}

DraftModel::Record& DraftModel::RecordOf(const Reader& reader, const DraftTask& task, size_t i) {
  return records_[task.sampling->temperature > 0 ? 1 : 0][reader.kinds[i]];
}

void DraftModel::Learn(Reader& reader, const DraftTask& task) {
  size_t right = 0;
  const size_t size = TextSize(task);
  for (size_t i = 0; i < reader.guess.size() && reader.guess_at + i < size; ++i) {
    const bool same = At(task, reader.guess_at + i) == reader.guess[i];
    Record& record = RecordOf(reader, task, i);
    record.all += 1;
    record.right += same ? 1.0f : 0.0f;
    if (record.all >= kManyGuesses) record = {record.right / 2, record.all / 2};
    if (i == 0) {
      reader.hope += kSmoothing * ((same ? 1 : 0) - reader.hope);
      hope_ += kAllSmoothing * ((same ? 1 : 0) - hope_);
    }
    if (!same) break;
    ++right;
  }
  reader.guess.clear();
  reader.kinds.clear();
  if (reader.kv.length() == 0) return;
  // The last `fed` positions hold the guess, all before them the text. The text's last token stays
  // out of the cache: it is fed again for what follows it.
  const size_t fed = std::exchange(reader.fed, 0), length = reader.kv.length();
  const size_t known = length - fed;
  // What the block guessed from hidden states of its own it reads again with the model's.
  const size_t kept = mtp_ ? 0 : std::min(right, fed);
  const size_t target = std::min(known + kept, Readable(task) - 1 - reader.left_out);
  if (target == length) return;
  if (reader.kv.states().empty()) {
    reader.kv.Truncate(target);
  } else if (fed > 0 && known <= target) {
    reader.kv.RestoreStates();
  } else {
    reader.kv.Truncate(0);
  }
}

bool DraftModel::Place(Reader& reader, const DraftTask& task) const {
  const size_t readable = Readable(task);
  if (mtp_ && (readable == 0 || reader.trail.end() < readable)) return false;
  const auto unknown = [&](size_t i) { return static_cast<size_t>(At(task, i)) >= vocab_; };
  const size_t size = TextSize(task);
  if (!mtp_ && (unknown(0) || unknown(size - 1))) return false;
  const size_t unread = Unread(task, reader);
  const bool gap = mtp_ && reader.left_out + reader.kv.length() < reader.trail.begin();
  if (reader.kv.length() == 0 || gap || unread > reads_ ||
      unread + task.most > reader.kv.context() - reader.kv.length()) {
    reader.kv.Truncate(0);
    reader.left_out = readable - std::min(readable, reads_);
    if (mtp_) reader.left_out = std::max(reader.left_out, reader.trail.begin());
  }
  if (mtp_) return reader.left_out < readable;
  // A token that this model does not have is left out with all before it.
  const size_t read = reader.kv.length() == 0 ? 0 : reader.kv.length() + reader.left_out;
  for (size_t i = size; i-- > std::max(read, reader.left_out + 1);) {
    if (!unknown(i)) continue;
    reader.kv.Truncate(0);
    reader.left_out = i;
    break;
  }
  return true;
}

bool DraftModel::IsWorthIt(Reader& reader, const DraftTask& task, const StepPacer& pacer,
                           double least) const {
  const size_t unread = Unread(task, reader);
  const double cost = static_cast<double>(unread) * pacer_.prefill_token_s() + pacer_.decode_s();
  const auto since = static_cast<double>(task.output.size() - reader.tried) * pacer.decode_s();
  if (reader.hope >= least) return unread <= 1 + reader.guess.capacity() || since >= cost;
  if (kTrialShare * since < cost) return false;
  reader.hope = std::min(least, kFirstHope);
  return true;
}

void DraftModel::TakeUnread(const DraftTask& task, Reader& reader, size_t n) const {
  reader.next.clear();
  reader.hidden.clear();
  for (size_t i = reader.kv.length(); reader.next.size() < n; ++i) {
    if (mtp_) {
      const std::span<const float> state = reader.trail.At(reader.left_out + i);
      reader.hidden.insert(reader.hidden.end(), state.begin(), state.end());
      reader.next.push_back(At(task, reader.left_out + i + 1));
    } else {
      reader.next.push_back(At(task, i == 0 ? 0 : i + reader.left_out));
    }
  }
  reader.chance = 1;
  reader.guess_at = TextSize(task);
}

bool DraftModel::Forward(ThreadPool& pool) {
  using Clock = std::chrono::steady_clock;
  batch_.clear();
  size_t rows = 0, tokens = 0;
  for (size_t i = 0; i < turns_.size(); ++i) {
    const Turn& turn = turns_[i];
    rows_[i] = rows;
    rows += turn.reads ? 0 : 1;
    tokens += turn.reader->next.size();
    batch_.push_back({&turn.reader->kv, turn.reader->next,
                      turn.reads ? LogitRows::kNone : LogitRows::kLast, turn.reader->hidden,
                      turn.reader->fed > 0});
  }
  const Clock::time_point begin = Clock::now();
  if (!transformer_.Forward(batch_, scratch_, pool)) {
    for (const Turn& turn : turns_) Forget(turn.reader->owner);
    return false;
  }
  StepStats round;
  round.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  round.decoding = turns_.size();
  round.prefill_tokens = tokens - turns_.size();
  // A few tokens more are no measure of either.
  if (round.prefill_tokens == 0 || round.prefill_tokens >= turns_.size() * 16) {
    pacer_.Observe(round);
  }
  return true;
}

bool DraftModel::Guess(Turn& turn, std::span<const float> logits, double least_of_row) {
  DraftTask& task = *turn.task;
  Reader& reader = *turn.reader;
  const size_t n = reader.guess.size();
  std::span<const uint64_t> allowed;
  if (n == 0 && !task.allowed.empty()) allowed = task.allowed.first((vocab_ + 63) / 64);
  const auto sampled = reader.sampler.Sample(logits.first(vocab_), TextSize(task) + n, allowed);
  if (!sampled) return false;
  const double share = std::exp(double{sampled->logprob});
  reader.guess.push_back(sampled->token);
  reader.kinds.push_back(
      static_cast<uint8_t>(std::ranges::upper_bound(kShares, share) - kShares.begin()));
  const Record& record = RecordOf(reader, task, n);
  reader.chance *= record.right / record.all;
  if (reader.chance < least_of_row) return false;
  task.guess->push_back(sampled->token);
  return task.guess->size() < task.most;
}

}  // namespace lockstep
