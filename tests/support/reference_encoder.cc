// What a reference model makes of the rows of a text; one class with reference_model.cc.
#include <algorithm>
#include <cmath>

#include "tests/support/reference_model.h"

namespace lockstep {

ReferenceModel::Rows ReferenceModel::Score(const Rows& pooled) const {
  const Matrix hidden = Load("cls"), last = Load("cls.output");
  if (!config_.head.answers.empty()) {
    Rows scores(1);
    for (const int32_t token : config_.head.answers) {
      scores[0].push_back(output_.Part(static_cast<size_t>(token), 1).Times(pooled)[0][0]);
    }
    return scores;
  }
  if (last.rows == 0) return hidden.Times(pooled);
  if (hidden.rows == 0) return last.Times(pooled);
  Rows x = hidden.Times(pooled);
  for (double& v : x[0]) {
    switch (config_.head.activation) {
      case HeadActivation::kTanh:
        v = std::tanh(v);
        break;
      case HeadActivation::kGeluErf:
        v = 0.5 * v * std::erfc(-v * std::sqrt(0.5));
        break;
      case HeadActivation::kSilu:
        v = v / (1 + std::exp(-v));
        break;
    }
  }
  return last.Times(Norm(Load("cls.norm"), x));
}

ReferenceModel::Row ReferenceModel::Encode(std::span<const int32_t> tokens, size_t second) const {
  const Rows x = Layers(tokens, second);
  Rows vector(1, Row(config_.dim));
  if (config_.head.pooled == Pooling::kFirst) vector[0] = x.front();
  if (config_.head.pooled == Pooling::kLast) vector[0] = x.back();
  for (size_t d = 0; d < config_.dim && config_.head.pooled == Pooling::kMean; ++d) {
    for (const Row& row : x) vector[0][d] += row[d] / static_cast<double>(x.size());
  }
  if (config_.scores_pairs()) {
    Row scores = Score(vector)[0];
    if (!config_.head.probabilities) return scores;
    double sum = 0;
    for (double& v : scores) sum += v = std::exp(v);
    for (double& v : scores) v /= sum;
    return scores;
  }
  if (config_.family->projects_output) vector = output_.Times(vector);
  for (const char* name : {"dense_2", "dense_3"}) {
    const Matrix dense = Load(name);
    if (dense.rows != 0) vector = dense.Times(vector);
  }
  double squares = 0;
  for (const double v : vector[0]) squares += v * v;
  for (double& v : vector[0]) v /= std::sqrt(squares);
  return vector[0];
}

}  // namespace lockstep
