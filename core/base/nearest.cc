// The distance is that of optimal string alignment (Damerau and Levenshtein): a swap of neighbours,
// the commonest slip of a typist, counts once and not twice. Names are short, so that the plain
// table of all prefixes is quick enough.
#include "core/base/nearest.h"

#include <algorithm>

namespace lockstep {

size_t EditDistance(std::string_view a, std::string_view b) {
  // distance[i][j] is that of a's first i letters and b's first j.
  std::vector<std::vector<size_t>> distance(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      size_t& least = distance[i][j];
      if (i == 0 || j == 0) {
        least = i + j;
        continue;
      }
      least = std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1,
                        distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        least = std::min(least, distance[i - 2][j - 2] + 1);
      }
    }
  }
  return distance[a.size()][b.size()];
}

std::string Nearest(std::string_view word, const std::vector<std::string>& names) {
  constexpr size_t kLongestWord = 256;  // a client's word may be a megabyte
  if (word.size() > kLongestWord) return {};
  std::string nearest;
  size_t least = word.size() / 3 + 1;
  for (const std::string& name : names) {
    const size_t distance = EditDistance(word, name);
    if (distance >= least) continue;
    least = distance;
    nearest = name;
  }
  return nearest;
}

}  // namespace lockstep
