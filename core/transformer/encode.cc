// Whole texts through an encoder: the layers are those of every model, but that attention sees a
// text in both directions. So all of a text is in one step, where its keys and values are rows of
// the step, and nothing of it is kept. What comes out of the last layer is pooled into one vector,
// in double and row by row, so that it has one order of operations whatever else is in the step.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/transformer/row_loops.h"
#include "core/transformer/transformer.h"

namespace lockstep {

Status Transformer::CheckTexts(std::span<const std::span<const int32_t>> texts,
                               const Scratch& s) const {
  size_t rows = 0;
  for (const std::span<const int32_t> tokens : texts) {
    rows += tokens.size();
    if (tokens.empty()) return Fail(ErrorKind::kInvalidArgument, "a text without tokens");
    TRY_OK(CheckTokens(tokens));
    if (tokens.size() > config_.context) {
      return Fail(ErrorKind::kContextExceeded,
                  fmt::format("a text of {} tokens does not fit into the model's context of {}",
                              tokens.size(), config_.context));
    }
  }
  if (rows > s.max_rows() || texts.size() > s.max_logit_rows()) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{} texts of {} tokens exceed the {} and {} that the scratch memory "
                            "was made for",
                            texts.size(), rows, s.max_logit_rows(), s.max_rows()));
  }
  return {};
}

Status Transformer::Encode(std::span<const std::span<const int32_t>> texts, Scratch& s,
                           ThreadPool& pool) const {
  TRY_OK(CheckTexts(texts, s));
  size_t all = 0, rows = 0;
  for (const std::span<const int32_t> tokens : texts) all += tokens.size();
  const size_t tile = TileRows(all, pool.threads());
  s.logit_rows_ = s.tile_count_ = s.sequence_count_ = 0;
  for (const std::span<const int32_t> tokens : texts) {
    PlaceSequence(tokens, rows, tile, nullptr, s);
    rows += tokens.size();
  }
  Layers(rows, s, pool);
  if (!weights_.output_norm.weight.empty()) {
    NormalizeStream(weights_.output_norm, rows, s, pool);
  }
  s.logit_rows_ = texts.size();
  pool.ParallelFor(texts.size(), 1, [&](size_t begin, size_t end) {
    for (size_t text = begin; text < end; ++text) Pool(text, s);
  });
  return {};
}

// The text's vector, brought to the length 1; zero stays zero.
void Transformer::Pool(size_t text, Scratch& s) const {
  const auto [first, n] = s.sequences_[text];
  const std::span<float> out = s.logits(text);
  const auto row = [&](size_t i) { return s.x_.data() + (first + i) * s.dim_stride_; };
  double squares = 0;
  for (size_t d = 0; d < out.size(); ++d) {
    double value = 0;
    if (config_.pooling == Pooling::kMean) {
      for (size_t i = 0; i < n; ++i) value += double{row(i)[d]};
      value /= static_cast<double>(n);
    } else {
      value = double{row(config_.pooling == Pooling::kLast ? n - 1 : 0)[d]};
    }
    out[d] = static_cast<float>(value);
    squares += value * value;
  }
  if (squares == 0) return;
  const double by = 1 / std::sqrt(squares);
  for (float& v : out) v = static_cast<float>(double{v} * by);
}

}  // namespace lockstep
