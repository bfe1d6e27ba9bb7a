// All categories are found by one walk over all of Unicode, some 10 ms, so that a schema of many
// patterns does not pay for it many times.
#include "server/schema/char_classes.h"

#include <map>
#include <string>
#include <utility>

#include "core/base/utf8.h"
#include "core/tokenizer/char_category.h"

namespace lockstep {
namespace {

using Ranges = std::vector<CodeRange>;

// The ranges of each general category of Unicode (UAX #44), under its two letters and under the one
// letter of its group: the range of "A" is in Lu and in L.
std::map<std::string, Ranges, std::less<>> FindCategories() {
  std::map<std::string, Ranges, std::less<>> out;
  for (uint32_t code = 0; code <= kMaxCodePoint; ++code) {
    const std::string_view category = CharCategory(code);
    for (const size_t letters : {1, 2}) {  // Lu is part of L
      Ranges& ranges = out[std::string(category.substr(0, letters))];
      if (!ranges.empty() && ranges.back().high + 1 == code) {
        ranges.back().high = code;
      } else {
        ranges.push_back({code, code});
      }
    }
  }
  for (auto& [name, ranges] : out) ranges = Normalized(ranges);
  return out;
}

// ECMA-262 lets \p{...} name a category by its long alias as well. An alias that is not in this
// list is refused like a category that does not exist.
constexpr std::pair<std::string_view, std::string_view> kLongNames[] = {{"Letter", "L"},
                                                                        {"Uppercase_Letter", "Lu"},
                                                                        {"Lowercase_Letter", "Ll"},
                                                                        {"Number", "N"},
                                                                        {"Decimal_Number", "Nd"},
                                                                        {"Mark", "M"},
                                                                        {"Punctuation", "P"},
                                                                        {"Symbol", "S"},
                                                                        {"Separator", "Z"},
                                                                        {"Space_Separator", "Zs"},
                                                                        {"Other", "C"},
                                                                        {"Control", "Cc"}};

}  // namespace

const Ranges& AllChars() {
  static const Ranges all = Normalized({{0, kMaxCodePoint}});
  return all;
}

const Ranges* CharsOfCategory(std::string_view name) {
  for (const std::string_view prefix : {"General_Category=", "gc="}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  for (const auto& [full, brief] : kLongNames) {
    if (name == full) name = brief;
  }
  static const auto categories = FindCategories();
  const auto found = categories.find(name);
  return found == categories.end() ? nullptr : &found->second;
}

}  // namespace lockstep
