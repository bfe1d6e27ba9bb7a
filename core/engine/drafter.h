// Guesses the next tokens of a sequence from what stood behind its last ones where they occurred
// before, in the prompt or in the answer so far: code that is edited, a document that is quoted,
// the keys of a JSON list (prompt lookup decoding, Saxena, 2023; speculative decoding without a
// draft model, Leviathan et al., 2023); and from the text that seems to be written again, with the
// changes that were made so far. A guess costs a row of a step that reads the weights anyway, and
// is kept only where it is the token that sampling gives: it changes no answer, only how soon it
// comes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/alignment.h"

namespace lockstep {

// What a session may add to its next token.
struct DraftLimit {
  size_t tokens = 0;
  double least_chance = 0;  // of being kept, at which a further token is worth its row
  double first_chance = 0;  // what the first must have, where somebody else would guess it as well
};

class Drafter {
 public:
  // Forgets everything, and makes room for so many tokens and for drafts of so many: nothing else
  // allocates then.
  void Reset(size_t capacity, size_t longest_draft);
  // What has followed, whether it was guessed or not; the drafter learns from it how sure it is.
  void Extend(std::span<const int32_t> tokens);
  size_t size() const { return tokens_.size(); }
  // What may follow, as far as it is worth it; empty where nothing like the end was seen before.
  // `literal`: what follows by all that is known otherwise, if it is spelled as usual; the draft
  // goes on behind it where it agrees. Valid until the next call.
  std::span<const int32_t> Draft(DraftLimit limit, std::span<const int32_t> literal = {});

 private:
  static constexpr size_t kHeads = 1 << 13;
  // Lengths of matches that are told apart, and what somebody else says of the same token: nothing,
  // that token, or another.
  static constexpr size_t kLengths = 10, kOthers = 3;

  // How often guesses of one kind were right, and of how many.
  struct Record {
    float right, all;
    float share() const { return right / all; }
    void Count(bool was_right);
  };
  // A guess of a kind; without a record there is none.
  struct Guess {
    int32_t token = 0;
    Record* record = nullptr;
  };
  // What the longest match and the alignment guess.
  struct Guesses {
    Guess matched, aligned;
    const Guess& better() const;
  };
  // Where the text stood as it stands at its end: where that ends, and how many tokens are the same
  // before; and where the next longest such place ends. 0: nowhere.
  struct Match {
    size_t end = 0, length = 0, second = 0;
  };

  static size_t HeadOf(int32_t token);
  Match Longest() const;
  // What followed `place`; at the end of the text that is `behind`.
  int32_t At(size_t place, std::span<const int32_t> behind) const;
  // What both guess for the i-th token behind the text's end; `behind` has those before it, perhaps
  // more. Not `matching`: an earlier one was not what the match says, which then says no more.
  // Moves `cursor`, the alignment's, behind the token.
  Guesses GuessesOf(size_t i, bool matching, std::span<const int32_t> behind,
                    Alignment::Cursor* cursor);
  // Begins an alignment at a long match, unless there is one that is sure.
  void Align();

  std::vector<int32_t> tokens_, draft_;
  std::vector<uint32_t> before_;  // [i]: where the token before i was seen last, 0: nowhere
  std::array<uint32_t, kHeads> last_{};
  // By the length of the match, and by what the second and what the alignment say; and by the
  // alignment's kind, and by what the match says.
  std::array<std::array<std::array<Record, kOthers>, kOthers>, kLengths> matched_{};
  std::array<std::array<Record, 2 + kOthers>, Alignment::kKinds> aligned_{};
  Alignment alignment_;
  Match match_;  // of what is at the end now, as of the last Draft
};

}  // namespace lockstep
