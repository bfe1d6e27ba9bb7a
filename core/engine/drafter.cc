// The match finder of LZ77 as in zlib (Deutsch, RFC 1951): last_ has, by a hash of a token, the
// newest place behind such a one, and before_ the one before that, so that a walk finds the places
// where the text stood as it stands now. The one with the longest common past wins, the newer among
// equals, and what followed there is the guess. As in LZ77 it may run into itself: with
// "a b c a b c a b c" the guess is "a b c a b c ..." for as long as is asked.
//
// How far to guess is decided by what came of earlier guesses, those too that were not worth a row:
// what follows shows whether they would have been right. The i-th token of a draft has a past of
// length + i common tokens if all before it are right; its chance is the product of the shares of
// right guesses in the kinds of these lengths. A kind also says whether the second best match goes
// on with the same token, as the contexts of different orders do in PPM (Cleary and Witten, 1984):
//
//   ... the price of all orders ... the weight of all orders ... the size of all
//
// Here "orders" is nearly sure, whatever the match's length; and where the two differ, as behind
// "the", is where the text is new, and a draft better ends. The alignment is one more such witness,
// and guesses itself where the match ends or says another token: whichever of the two was right
// more often in their kinds is believed.
#include "core/engine/drafter.h"

#include <algorithm>
#include <utility>

namespace lockstep {
namespace {

// The most common tokens that are told apart, and the most places that are looked at.
constexpr size_t kLongest = 32, kPlaces = 128;
// The shortest matches of each kind but the first.
constexpr std::array<size_t, 9> kBegins = {2, 3, 4, 5, 7, 9, 13, 17, 25};
// Before anything was seen a kind has the share below, as if from so many guesses, and a part of it
// where the second match differs; what was seen counts half once there are so many, so that the
// share follows the text.
constexpr std::array<float, 10> kFirstShares = {0.1f,  0.1f,  0.25f, 0.35f, 0.45f,
                                                0.55f, 0.65f, 0.75f, 0.85f, 0.9f};
constexpr double kLiteralShare = 0.95;  // of the tokens of literals, how many are spelled so
constexpr float kFirstGuesses = 4, kManyGuesses = 64, kDifferingShare = 0.3f;
// The first shares for what an alignment expects, by its kinds, and where the match differs.
constexpr std::array<float, Alignment::kKinds> kAlignedShares = {
    0.1f, 0.3f, 0.5f, 0.3f, 0.6f, 0.85f, 0.2f, 0.5f, 0.7f, 0.3f, 0.7f, 0.85f};
constexpr float kDifferingAlignedShare = 0.7f;
constexpr size_t kAnchor = 8;  // the match that begins an alignment

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
  alignment_.Reset();
  for (size_t length = 0; length < kLengths; ++length) {
    const Record alike = {kFirstShares[length] * kFirstGuesses, kFirstGuesses};
    const Record differing = {kDifferingShare * alike.right, alike.all};
    matched_[length] = {
        {{alike, alike, alike}, {alike, alike, alike}, {differing, differing, differing}}};
  }
  for (size_t kind = 0; kind < Alignment::kKinds; ++kind) {
    const Record alike = {kAlignedShares[kind] * kFirstGuesses, kFirstGuesses};
    const Record differing = {kDifferingAlignedShare * alike.right, alike.all};
    aligned_[kind] = {alike, differing, alike, alike, differing};
  }
}

void Drafter::Record::Count(bool was_right) {
  all += 1;
  right += was_right ? 1.0f : 0.0f;
  if (all >= kManyGuesses) *this = {right / 2, all / 2};
}

const Drafter::Guess& Drafter::Guesses::better() const {
  if (matched.record == nullptr || aligned.record == nullptr) {
    return aligned.record == nullptr ? matched : aligned;
  }
  return matched.record->share() >= aligned.record->share() ? matched : aligned;
}

void Drafter::Extend(std::span<const int32_t> tokens) {
  bool matching = match_.end != 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int32_t token = tokens[i];
    Alignment::Cursor cursor = alignment_.cursor();
    const Guesses guesses = GuessesOf(i, matching, tokens, &cursor);
    for (const Guess& guess : {guesses.matched, guesses.aligned}) {
      if (guess.record != nullptr) guess.record->Count(guess.token == token);
    }
    matching = matching && guesses.matched.token == token;
    if (alignment_.active()) alignment_.Follow(tokens_, token);
    // A place is entered once something follows it, so that the end is never its own past.
    const auto end = static_cast<uint32_t>(tokens_.size());
    before_.push_back(end == 0 ? 0 : std::exchange(last_[HeadOf(tokens_.back())], end));
    tokens_.push_back(token);
  }
  match_ = {};
}

size_t Drafter::HeadOf(int32_t token) {
  return (static_cast<uint32_t>(token) * uint64_t{0x9E3779B97F4A7C15} >> 32) & (kHeads - 1);
}

Drafter::Match Drafter::Longest() const {
  const size_t end = tokens_.size();
  Match best;
  if (end == 0) return best;
  size_t second_length = 0;
  size_t place = last_[HeadOf(tokens_.back())];
  for (size_t i = 0; place != 0 && i < kPlaces; ++i, place = before_[place]) {
    size_t length = 0;
    while (length < std::min(place, kLongest) &&
           tokens_[place - 1 - length] == tokens_[end - 1 - length]) {
      ++length;
    }
    if (length > best.length) {
      second_length = best.length;
      best = {place, length, best.end};
    } else if (length > second_length) {
      second_length = length;
      best.second = place;
    }
    if (second_length == kLongest) break;
  }
  return best;
}

int32_t Drafter::At(size_t place, std::span<const int32_t> behind) const {
  return place < tokens_.size() ? tokens_[place] : behind[place - tokens_.size()];
}

Drafter::Guesses Drafter::GuessesOf(size_t i, bool matching, std::span<const int32_t> behind,
                                    Alignment::Cursor* cursor) {
  Guesses out;
  size_t kind = 0;
  const bool aligned = alignment_.active() && cursor->source < tokens_.size();
  if (aligned) {
    const Alignment::Expected expected = alignment_.Next(tokens_, cursor);
    out.aligned.token = expected.token;
    kind = expected.kind;
  }
  if (matching) out.matched.token = At(match_.end + i, behind);
  const auto says = [](bool anything, bool the_same) {
    return static_cast<size_t>(!anything ? 0 : the_same ? 1 : 2);
  };
  const bool alike = out.matched.token == out.aligned.token;
  const bool has_second = matching && match_.second != 0;
  const size_t second =
      says(has_second, has_second && At(match_.second + i, behind) == out.matched.token);
  if (matching) {
    const auto length =
        static_cast<size_t>(std::ranges::upper_bound(kBegins, match_.length + i) - kBegins.begin());
    out.matched.record = &matched_[length][second][says(aligned, alike)];
  }
  if (aligned) out.aligned.record = &aligned_[kind][!matching ? 0 : !alike ? 1 : 2 + second];
  return out;
}

void Drafter::Align() {
  if (alignment_.sure() || match_.length < kAnchor) return;
  if (match_.end != alignment_.cursor().source) alignment_.Start(match_.end);
}

std::span<const int32_t> Drafter::Draft(DraftLimit limit, std::span<const int32_t> literal) {
  draft_.clear();
  match_ = Longest();
  Align();
  bool matching = match_.end != 0;
  Alignment::Cursor cursor = alignment_.cursor();
  double chance = 1;
  while (draft_.size() < limit.tokens) {
    const Guesses guesses = GuessesOf(draft_.size(), matching, draft_, &cursor);
    const Guess& guess = guesses.better();
    if (guess.record == nullptr) break;
    chance *= guess.record->share();
    if (chance < limit.least_chance || (draft_.empty() && chance < limit.first_chance)) break;
    draft_.push_back(guess.token);
    matching = matching && guess.token == guesses.matched.token;
  }
  size_t sure = 0;
  for (chance = kLiteralShare; sure < std::min(limit.tokens, literal.size()); ++sure) {
    if (chance < limit.least_chance) break;
    chance *= kLiteralShare;
  }
  literal = literal.first(sure);
  if (std::ranges::mismatch(literal, draft_).in1 != literal.end()) {
    draft_.assign(literal.begin(), literal.end());
  }
  return draft_;
}

}  // namespace lockstep
