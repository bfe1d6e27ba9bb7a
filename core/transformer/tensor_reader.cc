// A tensor is copied out of the file's mapping into panels by all threads of the pool, and its
// pages can go as soon as it is done. Checking a file is the same walk with one panel of memory.
#include "core/transformer/tensor_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr size_t kPanelGrain = 8;  // panels that one thread repacks at a time

std::string KnownTypes() {
  std::vector<std::string> names;
  for (size_t i = 0; i < kWeightTypes; ++i) names.emplace_back(Name(static_cast<WeightType>(i)));
  return Listed(names);
}

// "blk.7.attn_q.weight" to "blk.N.attn_q", and "blk.7.ssm_a" to "blk.N.ssm_a"
std::string Stem(const std::string& name) {
  const size_t dot = name.starts_with("blk.") ? name.find('.', 4) : std::string::npos;
  if (dot == std::string::npos) return name.substr(0, name.rfind('.'));
  const size_t end = name.rfind('.');
  return "blk.N" + name.substr(dot, end == dot ? std::string::npos : end - dot);
}

// Dimensions of 1 at the end mean nothing, and programs that write files leave them out or not.
std::vector<uint64_t> Meant(std::vector<uint64_t> dims) {
  while (dims.size() > 1 && dims.back() == 1) dims.pop_back();
  return dims;
}

}  // namespace

bool TensorReader::Has(const std::string& name) {
  known_.insert(Stem(name));
  return file_.FindTensor(name) != nullptr;
}

void TensorReader::Fail(const std::string& message) {
  if (status_) status_ = file_.Fail(message);
}

// The tensor, if it is there in this shape; else nullptr and status_ says why.
const GgufTensor* TensorReader::Find(const std::string& name, const std::vector<uint64_t>& dims) {
  if (!status_) return nullptr;
  known_.insert(Stem(name));
  const GgufTensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr) {
    Fail(fmt::format("tensor {} is missing", name));
  } else if (Meant(tensor->dims) != Meant(dims)) {
    Fail(fmt::format("tensor {} has dimensions [{}], but the metadata imply [{}]", name,
                     fmt::join(tensor->dims, ", "), fmt::join(dims, ", ")));
    tensor = nullptr;
  }
  return tensor;
}

void TensorReader::Finish(const GgufTensor& tensor, bool finite) {
  used_.insert(tensor.name);
  if (!finite) Fail(fmt::format("tensor {} holds NaN or infinity", tensor.name));
  if (done_) done_(tensor);
}

void TensorReader::Vector(const std::string& name, const std::vector<uint64_t>& dims,
                          std::vector<float>& out) {
  const GgufTensor* tensor = Find(name, dims);
  if (tensor == nullptr) return;
  if (tensor->type->weight != WeightType::kF32) {
    return Fail(fmt::format("tensor {} is of type {}, but norms, biases and factors must be F32",
                            name, tensor->type->name));
  }
  out.resize(tensor->cols() * tensor->rows());
  std::memcpy(out.data(), tensor->data.data(), tensor->data.size());
  bytes_ += tensor->data.size();
  Finish(*tensor, std::all_of(out.begin(), out.end(), [](float v) { return std::isfinite(v); }));
}

void TensorReader::One(const std::string& name, float& out) {
  std::vector<float> values;
  Vector(name, 1, values);
  if (!values.empty()) out = values[0];
}

void TensorReader::LoadNorm(const std::string& name, size_t n, const Architecture& family,
                            Norm& out) {
  Vector(name + ".weight", n, out.weight);
  if (family.norm != NormKind::kLayer) return;
  if (family.norm_bias) return Vector(name + ".bias", n, out.bias);
  out.bias.assign(n, 0.0f);
}

void TensorReader::Bias(const std::string& name, Presence presence, size_t n,
                        std::vector<float>& out) {
  if (presence == Presence::kMust || (presence == Presence::kMay && Has(name + ".bias"))) {
    Vector(name + ".bias", n, out);
  }
}

void TensorReader::LoadLinear(const std::string& name, size_t rows, size_t cols, Presence bias,
                              Linear& out) {
  Matrix(name + ".weight", rows, cols, out.weight);
  Scale(name, out.scale);
  Bias(name, bias, rows, out.bias);
}

void TensorReader::Scale(const std::string& name, float& out) {
  if (Has(name + ".scale")) One(name + ".scale", out);
  Skip(name + ".input_scale");
}

void TensorReader::Skip(const std::string& name) {
  if (const GgufTensor* tensor = file_.FindTensor(name)) used_.insert(tensor->name);
}

void TensorReader::SkipAll(const std::string& prefix) {
  for (const GgufTensor& tensor : file_.tensors()) {
    if (tensor.name.starts_with(prefix)) used_.insert(tensor.name);
  }
}

void TensorReader::Transpose(const PackedMatrix& w, PackedMatrix& out) {
  if (!status_ || pool_ == nullptr) return;
  std::vector<float> turned(w.rows * w.cols), row(w.cols);
  for (size_t r = 0; r < w.rows; ++r) {
    DecodeRow(w, r, row.data());
    for (size_t c = 0; c < w.cols; ++c) turned[c * w.rows + r] = row[c];
  }
  Pack(turned, w.cols, w.rows, out);
  bytes_ -= w.panels.size();
}

void TensorReader::Pack(const std::vector<float>& values, size_t rows, size_t cols,
                        PackedMatrix& out) {
  out = MakePackedMatrix(WeightType::kF32, rows, cols);
  for (size_t p = 0; p < out.panel_count(); ++p) {
    PackPanel(reinterpret_cast<const uint8_t*>(values.data()), p, out);
  }
  bytes_ += out.panels.size();
}

void TensorReader::Matrix(const std::string& name, size_t cols, const std::vector<Part>& parts,
                          const std::vector<uint64_t>& dims) {
  size_t rows = 0;
  for (const Part& part : parts) rows += part.rows;
  const GgufTensor* tensor = Find(name, dims.empty() ? std::vector<uint64_t>{cols, rows} : dims);
  if (tensor == nullptr) return;
  const std::optional<WeightType> type = tensor->type->weight;
  if (!type) {
    return Fail(
        fmt::format("tensor {} is of type {}, but lockstep runs {}: quantize the model "
                    "anew",
                    name, tensor->type->name, KnownTypes()));
  }
  bool finite = true;
  if (pool_ == nullptr) {
    finite = IsFinite(*tensor, *type);
  } else {
    size_t first = 0;
    for (const Part& part : parts) {
      finite &= Pack(*tensor, *type, part.scattered ? 0 : first, part);
      first += part.rows;
    }
  }
  Finish(*tensor, finite);
}

// This and the next return false if there is a NaN or an infinity.
bool TensorReader::Pack(const GgufTensor& tensor, WeightType type, size_t first, const Part& part) {
  PackedMatrix& out = *part.to;
  out = MakePackedMatrix(type, part.rows, tensor.cols());
  bytes_ += out.panels.size();
  const uint8_t* rows = tensor.data.data() + first * FileRowBytes(type, tensor.cols());
  const uint32_t* order =
      part.order != nullptr && !part.order->empty() ? part.order->data() : nullptr;
  // Threads only ever set it to false, so that no order between them matters.
  std::atomic<bool> finite{true};
  pool_->ParallelFor(out.panel_count(), kPanelGrain, [&](size_t begin, size_t end) {
    for (size_t panel = begin; panel < end; ++panel) {
      if (!PackPanel(rows, panel, out, order)) finite = false;
    }
  });
  return finite;
}

bool TensorReader::IsFinite(const GgufTensor& tensor, WeightType type) {
  // PackPanel looks for NaN and infinity on its way, so that checking is packing into memory that
  // is written over by the next 16 rows.
  PackedMatrix one_panel = MakePackedMatrix(type, kPanelRows, tensor.cols());
  const size_t row_bytes = FileRowBytes(type, tensor.cols());
  for (size_t row = 0; row < tensor.rows(); row += kPanelRows) {
    one_panel.rows = std::min(kPanelRows, tensor.rows() - row);
    if (!PackPanel(tensor.data.data() + row * row_bytes, 0, one_panel)) return false;
  }
  return true;
}

// What is left out, be it a bias, would change every answer.
void TensorReader::CheckAllTaken(std::string_view family) {
  for (const GgufTensor& tensor : file_.tensors()) {
    if (used_.count(tensor.name) != 0) continue;
    return Fail(
        fmt::format("tensor {} is not part of the {} models that lockstep runs, which have {}",
                    Quoted(tensor.name), family, fmt::join(known_, ", ")));
  }
}

}  // namespace lockstep
