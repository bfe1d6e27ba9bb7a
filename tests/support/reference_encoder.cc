// What a reference model makes of the rows of an encoder's text; one class with reference_model.cc.
#include <cmath>

#include "tests/support/reference_model.h"

namespace lockstep {

ReferenceModel::Row ReferenceModel::Encode(std::span<const int32_t> tokens) const {
  const Rows x = Layers(tokens);
  Row vector(config_.dim);
  if (config_.pooling == Pooling::kFirst) vector = x.front();
  if (config_.pooling == Pooling::kLast) vector = x.back();
  for (size_t d = 0; d < config_.dim && config_.pooling == Pooling::kMean; ++d) {
    for (const Row& row : x) vector[d] += row[d] / static_cast<double>(x.size());
  }
  double squares = 0;
  for (const double v : vector) squares += v * v;
  for (double& v : vector) v /= std::sqrt(squares);
  return vector;
}

}  // namespace lockstep
