#include "core/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_set>

#include "core/text.h"

namespace lockstep {
namespace {

constexpr size_t kPanelGrain = 8;  // panels that one thread repacks at a time

// The kernels' type of the same name.
std::optional<WeightType> ToWeightType(const DTypeInfo& type) {
  for (size_t i = 0; i < kWeightTypes; ++i) {
    const auto found = static_cast<WeightType>(i);
    if (type.supported && std::string_view(type.name) == Name(found)) return found;
  }
  return std::nullopt;
}

std::string KnownTypes() {
  std::string names = Name(WeightType{0});
  for (size_t i = 1; i < kWeightTypes; ++i) {
    names += i + 1 < kWeightTypes ? ", " : " and ";
    names += Name(static_cast<WeightType>(i));
  }
  return names;
}

class Loader {
 public:
  // Without a pool, the tensors are checked and not kept.
  Loader(const GgufFile& file, const ModelConfig& config, ThreadPool* pool, const TensorDone& done)
      : file_(file), config_(config), pool_(pool), done_(done) {}

  Result<Weights> Load() {
    const ModelConfig& c = config_;
    Weights w;
    Matrix("token_embd.weight", c.vocab, c.dim, w.token_embd);
    for (size_t i = 0; i < c.layers && status_; ++i) Layer(i, w.layers.emplace_back());
    Norm("output_norm.weight", w.output_norm);
    if (file_.FindTensor("output.weight") != nullptr) {
      Matrix("output.weight", c.vocab, c.dim, w.own_output.emplace());
    }
    if (status_) RefuseUnused();
    if (!status_) return tl::unexpected(status_.error());
    return w;
  }

 private:
  void Layer(size_t i, LayerWeights& w) {
    const ModelConfig& c = config_;
    const auto name = [i](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
    Norm(name("attn_norm"), w.attn_norm);
    Matrix(name("attn_q"), c.q_dim(), c.dim, w.wq);
    Matrix(name("attn_k"), c.kv_dim(), c.dim, w.wk);
    Matrix(name("attn_v"), c.kv_dim(), c.dim, w.wv);
    Matrix(name("attn_output"), c.dim, c.q_dim(), w.wo);
    Norm(name("ffn_norm"), w.ffn_norm);
    Matrix(name("ffn_gate"), c.ffn_dim, c.dim, w.w_gate);
    Matrix(name("ffn_up"), c.ffn_dim, c.dim, w.w_up);
    Matrix(name("ffn_down"), c.dim, c.ffn_dim, w.w_down);
  }

  // The tensor, if it is there in this shape; else nullptr and status_ says why.
  const GgufTensor* Find(const std::string& name, const std::vector<uint64_t>& dims) {
    if (!status_) return nullptr;
    const GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) {
      status_ = file_.Bad(fmt::format("tensor {} is missing", name));
    } else if (tensor->dims != dims) {
      status_ = file_.Bad(fmt::format("tensor {} has dimensions [{}], but the metadata imply [{}]",
                                      name, fmt::join(tensor->dims, ", "), fmt::join(dims, ", ")));
      tensor = nullptr;
    }
    return tensor;
  }

  void Finish(const std::string& name, const GgufTensor& tensor, bool finite) {
    used_.insert(tensor.name);
    if (!finite) status_ = file_.Bad(fmt::format("tensor {} holds NaN or infinity", name));
    if (done_) done_(tensor);
  }

  void Norm(const std::string& name, std::vector<float>& out) {
    const GgufTensor* tensor = Find(name, {config_.dim});
    if (tensor == nullptr) return;
    if (tensor->dtype->id != static_cast<uint32_t>(DType::kF32)) {
      status_ = file_.Bad(fmt::format("tensor {} is of type {}, but a norm must be F32", name,
                                      tensor->dtype->name));
      return;
    }
    out.resize(config_.dim);
    std::memcpy(out.data(), tensor->data.data(), tensor->data.size());
    Finish(name, *tensor,
           std::all_of(out.begin(), out.end(), [](float v) { return std::isfinite(v); }));
  }

  void Matrix(const std::string& name, size_t rows, size_t cols, PackedMatrix& out) {
    const GgufTensor* tensor = Find(name, {cols, rows});
    if (tensor == nullptr) return;
    const auto type = ToWeightType(*tensor->dtype);
    if (!type) {
      status_ = file_.Bad(
          fmt::format("tensor {} is of type {}, but lockstep runs {}: quantise the model anew",
                      name, tensor->dtype->name, KnownTypes()));
      return;
    }
    Finish(name, *tensor,
           pool_ != nullptr ? Repack(*tensor, *type, out) : IsFinite(*tensor, *type));
  }

  // Both return false if there is a NaN or an infinity.
  bool Repack(const GgufTensor& tensor, WeightType type, PackedMatrix& out) {
    out = MakePackedMatrix(type, tensor.rows(), tensor.cols());
    std::atomic<bool> finite{true};
    pool_->ParallelFor(out.panel_count(), kPanelGrain, [&](size_t begin, size_t end) {
      for (size_t panel = begin; panel < end; ++panel) {
        if (!PackPanel(tensor.data.data(), panel, out)) finite = false;
      }
    });
    return finite;
  }

  static bool IsFinite(const GgufTensor& tensor, WeightType type) {
    PackedMatrix one_panel = MakePackedMatrix(type, kPanelRows, tensor.cols());
    const size_t row_bytes = FileRowBytes(type, tensor.cols());
    for (size_t row = 0; row < tensor.rows(); row += kPanelRows) {
      one_panel.rows = std::min(kPanelRows, tensor.rows() - row);
      if (!PackPanel(tensor.data.data() + row * row_bytes, 0, one_panel)) return false;
    }
    return true;
  }

  // A bias or a table of RoPE factors would change every answer if it were left out.
  void RefuseUnused() {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (used_.count(tensor.name) != 0) continue;
      status_ = file_.Bad(fmt::format(
          "tensor {} is not part of the llama models that lockstep runs", Quoted(tensor.name)));
      return;
    }
  }

  const GgufFile& file_;
  const ModelConfig& config_;
  ThreadPool* pool_;
  const TensorDone& done_;
  std::unordered_set<std::string_view> used_;
  Status status_;
};

}  // namespace

size_t Weights::bytes() const {
  size_t total = token_embd.panels.size() + output_norm.size() * sizeof(float);
  if (own_output) total += own_output->panels.size();
  for (const LayerWeights& w : layers) {
    total += (w.attn_norm.size() + w.ffn_norm.size()) * sizeof(float);
    for (const PackedMatrix* m : {&w.wq, &w.wk, &w.wv, &w.wo, &w.w_gate, &w.w_up, &w.w_down}) {
      total += m->panels.size();
    }
  }
  return total;
}

Result<Weights> LoadWeights(const GgufFile& file, const ModelConfig& config, ThreadPool& pool,
                            const TensorDone& done) {
  return Loader(file, config, &pool, done).Load();
}

Status CheckWeights(const GgufFile& file, const ModelConfig& config, const TensorDone& done) {
  return Loader(file, config, nullptr, done).Load().map([](const Weights&) {});
}

}  // namespace lockstep
