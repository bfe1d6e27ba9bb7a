// Copies what is small out of a header that is mapped only while the model loads. Vocabularies and
// other long arrays stay behind: nobody reads them from a server.
#include "core/model/model_card.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <type_traits>

namespace lockstep {
namespace {

// llama.cpp's names of general.file_type (enum llama_ftype).
const char* FileTypeName(uint64_t type) {
  static const std::map<uint64_t, const char*> kNames = {
      {0, "F32"},      {1, "F16"},      {2, "Q4_0"},    {3, "Q4_1"},    {7, "Q8_0"},
      {8, "Q5_0"},     {9, "Q5_1"},     {10, "Q2_K"},   {11, "Q3_K_S"}, {12, "Q3_K_M"},
      {13, "Q3_K_L"},  {14, "Q4_K_S"},  {15, "Q4_K_M"}, {16, "Q5_K_S"}, {17, "Q5_K_M"},
      {18, "Q6_K"},    {19, "IQ2_XXS"}, {20, "IQ2_XS"}, {21, "Q2_K_S"}, {22, "IQ3_XS"},
      {23, "IQ3_XXS"}, {24, "IQ1_S"},   {25, "IQ4_NL"}, {26, "IQ3_S"},  {27, "IQ3_M"},
      {28, "IQ2_S"},   {29, "IQ2_M"},   {30, "IQ4_XS"}, {31, "IQ1_M"},  {32, "BF16"},
      {36, "TQ1_0"},   {37, "TQ2_0"},   {38, "MXFP4"},
  };
  const auto name = kNames.find(type);
  return name == kNames.end() ? nullptr : name->second;
}

// What the file says, or else the type that most of the weights have.
std::string Quantization(const GgufFile& file) {
  const auto type = file.GetU64("general.file_type");
  const char* const named = type && *type ? FileTypeName(**type) : nullptr;
  if (named != nullptr) return named;
  std::map<std::string_view, size_t> bytes;
  for (const GgufTensor& tensor : file.tensors()) bytes[tensor.type->name] += tensor.data.size();
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? "unknown" : std::string(most->first);
}

// The double that the float's shortest text names: 1e-5, and not 9.99999974738e-06.
double ShortestDouble(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double shortest = value;
  std::from_chars(text, end, shortest);
  return shortest;
}

// Nothing for a text that is too long.
std::optional<CardValue> ValueOf(const GgufPair& pair) {
  return std::visit(
      [&pair](const auto& value) -> std::optional<CardValue> {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, GgufArray>) {
          std::vector<std::string> texts;
          if (value.strings.size() <= kMaxCardElements) {
            texts.assign(value.strings.begin(), value.strings.end());
          }
          return texts;
        } else if constexpr (std::is_same_v<T, std::string_view>) {
          if (value.size() > kMaxCardText) return std::nullopt;
          return std::string(value);
        } else if constexpr (std::is_same_v<T, double>) {
          const bool single = pair.type == Id(GgufType::kF32);
          return single ? ShortestDouble(static_cast<float>(value)) : value;
        } else {
          return value;
        }
      },
      pair.value);
}

}  // namespace

ModelCard MakeModelCard(const GgufFile& file, const ModelConfig& config) {
  ModelCard card;
  card.architecture = config.architecture;
  card.quantization = Quantization(file);
  card.bytes = file.size();
  card.context = config.context;
  card.dim = config.dim;
  struct stat status {};
  if (stat(file.name().c_str(), &status) == 0) card.modified = status.st_mtime;
  for (const GgufTensor& tensor : file.tensors()) card.parameters += tensor.rows() * tensor.cols();
  for (const GgufPair& pair : file.pairs()) {
    if (pair.key.starts_with("tokenizer.chat_template")) continue;
    if (auto value = ValueOf(pair)) card.metadata.emplace_back(pair.key, *std::move(value));
  }
  return card;
}

}  // namespace lockstep
