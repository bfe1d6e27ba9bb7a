// What a model's file says of itself, for those who ask and not to run it: it outlives the file. A
// value, immutable once made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/gguf/gguf_file.h"
#include "core/transformer/model_config.h"

namespace lockstep {

// A value of the metadata. An array has its elements only where it is of a few texts.
using CardValue =
    std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<std::string>>;

struct ModelCard {
  std::string architecture;
  std::string quantization;  // as llama.cpp names it: "Q4_K_M"
  std::string sha256;        // of the file, in 64 hex digits
  uint64_t parameters = 0;   // elements of all tensors
  size_t bytes = 0;          // of the file
  int64_t modified = 0;      // the file's Unix time; 0: it is no file
  size_t context = 0;        // positions that the model was made for
  size_t dim = 0;            // embedding length
  // All keys in the file's order, but the chat templates and texts of more than kMaxCardText bytes.
  std::vector<std::pair<std::string, CardValue>> metadata;
};

inline constexpr size_t kMaxCardText = 32 * 1024;  // licences have up to 20 KB
inline constexpr size_t kMaxCardElements = 8;

// Fills in all but sha256, which is known only once the file was read.
ModelCard MakeModelCard(const GgufFile& file, const ModelConfig& config);

}  // namespace lockstep
