// The match finder of LZ77 as in zlib (Deutsch, RFC 1951): last_ has, by a hash of three tokens,
// the newest place behind such a three, and before_ the one before that, so that a walk finds the
// places where the text stood as it stands now. The one with the longest common past wins, the
// newer among equals, and what followed there is the guess. As in LZ77 it may run into itself: with
// "a b c a b c a b c" the guess is "a b c a b c ..." for as long as is asked.
//
// How far to guess is decided by what came of earlier guesses, those too that were not worth a row:
// what follows shows whether they would have been right. The i-th token of a draft has a past of
// length + i common tokens if all before it are right; its chance is the product of the shares of
// right guesses in the kinds of these lengths.
#include "core/engine/drafter.h"

#include <algorithm>
#include <utility>

namespace lockstep {
namespace {

// The most common tokens that are told apart, and the most places that are looked at.
constexpr size_t kLongest = 32, kPlaces = 32;
// Before anything was seen a kind has the share below, as if from so many guesses; what was seen
// counts half once there are so many, so that the share follows the text.
constexpr float kFirstGuesses = 4, kManyGuesses = 64;
constexpr std::array<float, 8> kFirstShares = {0.35f, 0.45f, 0.55f, 0.65f,
                                               0.75f, 0.85f, 0.9f,  0.95f};

}  // namespace

void Drafter::Reset(size_t capacity, size_t longest_draft) {
  tokens_.clear();
  tokens_.reserve(capacity);
  before_.clear();
  before_.reserve(capacity);
  draft_.clear();
  draft_.reserve(longest_draft);
  last_.fill(0);
  match_ = {};
  for (size_t kind = 0; kind < kKinds; ++kind) {
    records_[kind] = {kFirstShares[kind] * kFirstGuesses, kFirstGuesses};
  }
}

void Drafter::Extend(std::span<const int32_t> tokens) {
  Learn(tokens);
  for (const int32_t token : tokens) {
    // A place is entered once something follows it, so that the end is never its own past.
    const size_t end = tokens_.size();
    before_.push_back(0);
    if (end >= kMatch) before_[end] = std::exchange(last_[HashAt(end)], static_cast<uint32_t>(end));
    tokens_.push_back(token);
  }
}

size_t Drafter::HashAt(size_t end) const {
  uint64_t hash = 0;
  for (size_t i = end - kMatch; i < end; ++i) {
    hash = (hash ^ static_cast<uint32_t>(tokens_[i])) * 0x9E3779B97F4A7C15;
  }
  return hash >> 32 & (kHeads - 1);
}

size_t Drafter::KindOf(size_t match_length) {
  constexpr std::array<size_t, kKinds - 1> kBegins = {4, 5, 7, 9, 13, 17, 25};
  return std::ranges::upper_bound(kBegins, match_length) - kBegins.begin();
}

Drafter::Match Drafter::Longest() const {
  const size_t end = tokens_.size();
  Match best;
  if (end < kMatch) return best;
  size_t place = last_[HashAt(end)];
  for (size_t i = 0; place != 0 && i < kPlaces; ++i, place = before_[place]) {
    size_t length = 0;
    while (length < std::min(place, kLongest) &&
           tokens_[place - 1 - length] == tokens_[end - 1 - length]) {
      ++length;
    }
    if (length > best.length) best = {place, length};
    if (length == kLongest) break;
  }
  return best.length >= kMatch ? best : Match();
}

std::span<const int32_t> Drafter::Draft(DraftLimit limit) {
  draft_.clear();
  match_ = Longest();
  double chance = 1;
  while (match_.length != 0 && draft_.size() < limit.tokens) {
    const Record& record = records_[KindOf(match_.length + draft_.size())];
    chance *= record.right / record.all;
    if (chance < limit.least_chance) break;
    const size_t next = match_.end + draft_.size();
    draft_.push_back(next < tokens_.size() ? tokens_[next] : draft_[next - tokens_.size()]);
  }
  return draft_;
}

// Before `tokens` are appended: what follows the match is what they were guessed to be.
void Drafter::Learn(std::span<const int32_t> tokens) {
  const size_t known = match_.length == 0 ? 0 : tokens_.size() - match_.end;
  for (size_t i = 0; i < std::min(known, tokens.size()); ++i) {
    Record& record = records_[KindOf(match_.length + i)];
    const bool right = tokens_[match_.end + i] == tokens[i];
    record.all += 1;
    record.right += right ? 1.0f : 0.0f;
    if (record.all >= kManyGuesses) record = {record.right / 2, record.all / 2};
    if (!right) break;
  }
  match_ = {};
}

}  // namespace lockstep
