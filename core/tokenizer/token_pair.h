// Two texts that are one to a model, and what is left out of them where they are too long. Pure
// functions, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep {

// Two texts as one, in the form that models which score pairs were trained with.
struct TokenizedPair {
  std::vector<int32_t> ids;
  size_t second = SIZE_MAX;  // the first id of the second type; SIZE_MAX where all are of the first
};

// Ids that a pair may have, at most.
struct PairLimits {
  size_t all = SIZE_MAX;
  size_t document = SIZE_MAX;  // of the document's own
  bool query = false;          // the query may be cut as well
  bool begin = false;          // what goes is the beginning of a text, not its end
};

// The ids of one of the two texts in a pair. [begin, end)
struct PairPart {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

// Leaves out as many ids as the limits ask for: of the document alone, or of the longer one first
// until both are as long (Hugging Face's "longest_first"). Where that does not suffice, only the
// document's own limit is kept. REQUIRES: the parts do not overlap; only the document's ids, and
// those behind them, are of the second type.
void CutPair(const PairPart& query, const PairPart& document, const PairLimits& limits,
             TokenizedPair* pair);

}  // namespace lockstep
