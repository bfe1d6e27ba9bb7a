// Takes tensors out of a GGUF file by name and shape, repacked, and keeps the first error, so that
// a loader reads as a list. Not thread-safe; file and pool must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/kernels/packed_matrix.h"
#include "core/kernels/thread_pool.h"
#include "core/transformer/architectures.h"

namespace lockstep {

// Those that a model does not have are empty.
struct Linear {
  PackedMatrix weight;      // [out][in]
  std::vector<float> bias;  // [out]
  float scale = 1;          // of the product
};

struct Norm {
  std::vector<float> weight, bias;  // [n]
};

// Row r of what is loaded is row order[r] of the file; empty: as they are.
using RowOrder = std::vector<uint32_t>;

class TensorReader {
 public:
  using Done = std::function<void(const GgufTensor&)>;

  // Without a pool, the tensors are checked and not kept.
  TensorReader(const GgufFile& file, ThreadPool* pool, const Done& done)
      : file_(file), pool_(pool), done_(done) {}

  // Whether the file has the tensor. The name counts as known to the family either way, for the
  // message of CheckAllTaken.
  bool Has(const std::string& name);
  // The tensor as the file has it, nullptr if it has none; for who needs its shape.
  const GgufTensor* Peek(const std::string& name) {
    return Has(name) ? file_.FindTensor(name) : nullptr;
  }

  // A part of a matrix: as many of its rows, and where they go.
  struct Part {
    PackedMatrix* to;
    size_t rows;
    const RowOrder* order = nullptr;  // within the part
    bool scattered = false;           // the order is within the tensor: the rows are not one run
  };
  // All parts of a tensor of dimensions [cols][rows of all parts], or `dims` where given. Families
  // that fuse matrices stack them by rows, so that each part is a run of rows: attn_qkv is the rows
  // of wq, then those of wk and wv, and ffn_gate_exps the rows of expert 0, then of 1, ...
  void Matrix(const std::string& name, size_t cols, const std::vector<Part>& parts,
              const std::vector<uint64_t>& dims = {});
  void Matrix(const std::string& name, size_t rows, size_t cols, PackedMatrix& out) {
    Matrix(name, cols, {{&out, rows}});
  }
  // F32 values, of one dimension or of several.
  void Vector(const std::string& name, const std::vector<uint64_t>& dims, std::vector<float>& out);
  void Vector(const std::string& name, size_t n, std::vector<float>& out) {
    Vector(name, std::vector<uint64_t>{n}, out);
  }
  void One(const std::string& name, float& out);
  // NAME.weight, and of LayerNorm NAME.bias, which is zero where the family has none.
  void LoadNorm(const std::string& name, size_t n, const Architecture& family, Norm& out);
  // NAME.bias, if it must be there or is.
  void Bias(const std::string& name, Presence presence, size_t n, std::vector<float>& out);
  // NAME.weight with its scale and its bias.
  void LoadLinear(const std::string& name, size_t rows, size_t cols, Presence bias, Linear& out);
  // The scale of the matrix `name`, where the file has one. Files of types with small scales may
  // have one more for the whole tensor, and one for its input, which only arithmetic with inputs of
  // that type needs.
  void Scale(const std::string& name, float& out);
  // Takes a tensor that may be there and that the model has no use for.
  void Skip(const std::string& name);
  // Skips all tensors whose names begin so.
  void SkipAll(const std::string& prefix);
  // out = rows of floats that were made of tensors.
  void Pack(const std::vector<float>& values, size_t rows, size_t cols, PackedMatrix& out);
  // out = w with rows and columns exchanged, as floats.
  void Transpose(const PackedMatrix& w, PackedMatrix& out);

  // Records an error, unless there is one.
  void Fail(const std::string& message);
  // Records an error if the file has a tensor that nobody took; `family` is for the message.
  void CheckAllTaken(std::string_view family);

  const Status& status() const { return status_; }
  size_t bytes() const { return bytes_; }  // of all that was kept

 private:
  const GgufTensor* Find(const std::string& name, const std::vector<uint64_t>& dims);
  bool Pack(const GgufTensor& tensor, WeightType type, size_t first, const Part& part);
  static bool IsFinite(const GgufTensor& tensor, WeightType type);
  void Finish(const GgufTensor& tensor, bool finite);

  const GgufFile& file_;
  ThreadPool* pool_;
  const Done& done_;
  std::unordered_set<std::string_view> used_;
  std::set<std::string> known_;  // names asked for, such as blk.N.attn_q
  size_t bytes_ = 0;
  Status status_;
};

}  // namespace lockstep
