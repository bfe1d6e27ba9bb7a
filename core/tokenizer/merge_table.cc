// A merge is known by the pair of ids that it joins, not by texts, so that a step of the merger
// costs one look-up of an integer.
#include "core/tokenizer/merge_table.h"

#include <fmt/format.h>

#include <string>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

Status MergeTable::Load(const GgufFile& file, const Vocabulary& vocabulary) {
  TRY(const auto merges, file.GetStrings("tokenizer.ggml.merges"));
  if (merges == nullptr) {
    TRY(const auto model, file.GetString("tokenizer.ggml.model"));
    return file.Fail(
        fmt::format("tokenizer.ggml.merges is missing: a tokenizer of model {} needs it",
                    Quoted(model.value_or(""))));
  }
  merges_.reserve(merges->size());
  for (size_t rank = 0; rank < merges->size(); ++rank) {
    const std::string_view merge = (*merges)[rank];
    // No token is written with a space, so that the only one is the separator.
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      return file.Fail(
          fmt::format("tokenizer.ggml.merges[{}] is {}: two tokens with a space "
                      "between them are needed",
                      rank, Quoted(merge)));
    }
    std::string merged(merge);
    merged.erase(space, 1);
    int32_t ids[3];
    const std::string_view parts[3] = {merge.substr(0, space), merge.substr(space + 1), merged};
    for (size_t i = 0; i < 3; ++i) {
      ids[i] = vocabulary.Find(parts[i]);
      if (ids[i] < 0) {
        return file.Fail(
            fmt::format("tokenizer.ggml.merges[{}] is {}, but {} is not one of the {} "
                        "tokens in tokenizer.ggml.tokens",
                        rank, Quoted(merge), Quoted(parts[i]), vocabulary.size()));
      }
    }
    // A merge that would make a control token is never used; the first of two equal ones counts.
    if (!vocabulary.IsNormal(ids[2])) continue;
    // A rank is less than 2^24, the file's limit for arrays, so that a float holds it exactly.
    merges_.emplace(PairKey(ids[0], ids[1]), Merge{static_cast<float>(rank), ids[2]});
  }
  return {};
}

Merge MergeTable::Find(const Symbol& left, const Symbol& right) const {
  const auto found = merges_.find(PairKey(left.id, right.id));
  return found == merges_.end() ? Merge{0, -1} : found->second;
}

}  // namespace lockstep
