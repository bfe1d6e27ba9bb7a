// Whole texts through an encoder: the layers are those of every model, but that attention sees a
// text in both directions. So all of a text is in one step, where its keys and values are rows of
// the step, and nothing of it is kept. What comes out of the last layer is pooled into one vector,
// in double and row by row, so that it has one order of operations whatever else is in the step; it
// may go through matrices then, all texts' together.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/kernels/det_math.h"
#include "core/kernels/matmul.h"
#include "core/transformer/row_loops.h"
#include "core/transformer/transformer.h"

namespace lockstep {
namespace {

// Zero stays zero.
void BringToLengthOne(std::span<float> x) {
  double squares = 0;
  for (const float v : x) squares += double{v} * double{v};
  if (squares == 0) return;
  const double by = 1 / std::sqrt(squares);
  for (float& v : x) v = static_cast<float>(double{v} * by);
}

void Softmax(std::span<float> x) {
  const double largest = *std::ranges::max_element(x);
  double sum = 0;
  for (const float v : x) sum += DetExp(double{v} - largest);
  for (float& v : x) v = static_cast<float>(DetExp(double{v} - largest) / sum);
}

}  // namespace

Status Transformer::CheckTexts(std::span<const EncoderText> texts, const Scratch& s) const {
  size_t rows = 0;
  for (const EncoderText& text : texts) {
    const std::span<const int32_t> tokens = text.tokens;
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

Status Transformer::Encode(std::span<const EncoderText> texts, Scratch& s, ThreadPool& pool) const {
  TRY_OK(CheckTexts(texts, s));
  size_t all = 0, rows = 0;
  for (const EncoderText& text : texts) all += text.tokens.size();
  const size_t tile = TileRows(all, pool.threads());
  s.logit_rows_ = s.tile_count_ = s.sequence_count_ = 0;
  for (const EncoderText& text : texts) {
    PlaceSequence(text, rows, tile, nullptr, s);
    rows += text.tokens.size();
  }
  Layers(rows, s, pool);
  if (!weights_.output_norm.weight.empty()) {
    NormalizeStream(weights_.output_norm, rows, s, pool);
  }
  s.logit_rows_ = texts.size();
  pool.ParallelFor(texts.size(), 1, [&](size_t begin, size_t end) {
    for (size_t text = begin; text < end; ++text) Pool(text, s);
  });
  Head(texts, s, pool);
  return {};
}

// Makes one vector of a text's rows.
void Transformer::Pool(size_t text, Scratch& s) const {
  const size_t first = s.sequences_[text].first, n = s.sequences_[text].rows;
  float* out = s.pooled_.data() + text * s.pooled_stride_;
  const auto row = [&](size_t i) { return s.x_.data() + (first + i) * s.dim_stride_; };
  if (config_.head.pooled != Pooling::kMean) {
    std::copy_n(row(config_.head.pooled == Pooling::kLast ? n - 1 : 0), config_.dim, out);
    return;
  }
  for (size_t d = 0; d < config_.dim; ++d) {
    double value = 0;
    for (size_t i = 0; i < n; ++i) value += double{row(i)[d]};
    out[d] = static_cast<float>(value / static_cast<double>(n));
  }
}

// logits = what the model makes of the pooled vectors
void Transformer::Head(std::span<const EncoderText> texts, Scratch& s, ThreadPool& pool) const {
  const HeadWeights& w = weights_.head;
  AlignedBuffer<float>*in = &s.pooled_, *out = &s.headed_;
  const auto multiply = [&](const Linear& by) {
    const MatMulJob job = {&by.weight, out->data(), s.pooled_stride_};
    MatMul(kernels_, pool, {in->data(), texts.size(), by.weight.cols, s.pooled_stride_}, {&job, 1},
           s.matmul_);
    FinishRows(kernels_, pool, by, out->data(), s.pooled_stride_, texts.size());
    std::swap(in, out);
  };
  for (const Linear& dense : w.dense) multiply(dense);
  if (w.hidden.weight.rows != 0) {
    multiply(w.hidden);
    for (size_t i = 0; i < texts.size(); ++i) FinishHidden(in->data() + i * s.pooled_stride_);
  }
  if (w.output.weight.rows != 0) multiply(w.output);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::span<float> result = s.logits(i);
    std::copy_n(in->data() + i * s.pooled_stride_, result.size(), result.data());
    if (config_.head.probabilities) {
      Softmax(result);
    } else if (!config_.scores_pairs() && texts[i].form == TextForm::kUnit) {
      BringToLengthOne(result);
    }
  }
}

// What goes into the matrix of scores.
void Transformer::FinishHidden(float* x) const {
  const HeadWeights& w = weights_.head;
  const size_t n = w.hidden.weight.rows;
  switch (config_.head.activation) {
    case HeadActivation::kTanh:
      kernels_.soft_cap(1.0f, n, x);
      break;
    case HeadActivation::kGeluErf:
      kernels_.gelu_erf_mul(x, nullptr, n, x);
      break;
    case HeadActivation::kSilu:
      kernels_.silu_mul(x, nullptr, n, x);
      break;
  }
  if (w.norm.weight.empty()) return;
  if (w.norm.bias.empty()) {
    kernels_.rms_norm(x, w.norm.weight.data(), n, config_.norm_eps, x);
  } else {
    kernels_.layer_norm(x, w.norm.weight.data(), w.norm.bias.data(), n, config_.norm_eps, x);
  }
}

}  // namespace lockstep
