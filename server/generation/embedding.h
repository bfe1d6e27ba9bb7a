// Texts on their way through a model that encodes, seen from the HTTP thread, which waits for all
// of their vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/engine/encode_job.h"
#include "server/generation/embedding_service.h"
#include "server/generation/generate_types.h"

namespace lockstep {

// The vectors of a request's texts, in the order of the texts. Plain data.
struct TextVectors {
  size_t dim = 0;
  std::vector<float> values;  // [vectors][dim]
  // Where each text has several, those of its tokens: how many. Else empty, and it has one.
  std::vector<size_t> counts;
  EncodeStats stats;

  size_t size() const { return dim == 0 ? 0 : values.size() / dim; }
  std::span<const float> operator[](size_t vector) const {
    return std::span(values).subspan(vector * dim, dim);
  }
  // The first `dimensions` values of each, brought to the length 1 if `unit`; all if it is 0 or
  // more.
  void Cut(size_t dimensions, bool unit = true);
};

// kCancelled or kDeadlineExceeded once nobody waits for the vectors any more.
[[nodiscard]] Status StillWanted(const Caller& caller);

// Blocks until all texts, or pairs with `seconds` as EncodeJob has them, are encoded. A client that
// has gone is noticed within 20 ms, and its texts are encoded no further. Errors are Submit's, and
// those of a job's end.
[[nodiscard]] Result<TextVectors> EncodeTexts(EmbeddingService& service,
                                              std::vector<std::vector<int32_t>> texts,
                                              const Caller& caller,
                                              std::vector<size_t> seconds = {},
                                              TextForm form = TextForm::kUnit);

}  // namespace lockstep
