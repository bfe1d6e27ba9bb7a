// The lengths are worked out first, by the rule of the tokenizers library, so that a pair has the
// ids that the servers and scripts have which use it.
#include "core/tokenizer/token_pair.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace lockstep {
namespace {

// What is left of both in so much room.
std::pair<size_t, size_t> LongestFirst(size_t query, size_t document, size_t room) {
  if (query + document <= room) return {query, document};
  size_t less = std::min(query, document);
  size_t more = less > room ? less : std::max(less, room - less);
  if (less + more > room) {
    less = room / 2;
    more = room - less;
  }
  return query > document ? std::pair(more, less) : std::pair(less, more);
}

void CutPart(const PairPart& part, size_t left, bool begin, std::vector<int32_t>& ids) {
  const size_t from = begin ? part.begin : part.begin + left;
  const auto at = ids.begin() + static_cast<ptrdiff_t>(from);
  ids.erase(at, at + static_cast<ptrdiff_t>(part.size() - left));
}

}  // namespace

void CutPair(const PairPart& query, const PairPart& document, const PairLimits& limits,
             TokenizedPair* pair) {
  std::vector<int32_t>& ids = pair->ids;
  const size_t around = ids.size() - query.size() - document.size();
  const size_t room = limits.all - std::min(limits.all, around);
  size_t of_query = query.size(), of_document = std::min(document.size(), limits.document);
  if (limits.all >= around && limits.query) {
    std::tie(of_query, of_document) = LongestFirst(of_query, of_document, room);
  } else if (limits.all >= around && of_query <= room) {
    of_document = std::min(of_document, room - of_query);
  }
  if (pair->second != SIZE_MAX) pair->second -= query.size() - of_query;
  // The later one first, so that the other stays where it is.
  const bool query_last = query.begin > document.begin;
  if (query_last) CutPart(query, of_query, limits.begin, ids);
  CutPart(document, of_document, limits.begin, ids);
  if (!query_last) CutPart(query, of_query, limits.begin, ids);
}

}  // namespace lockstep
