#include "tests/support/tiny_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <set>

#include "core/kernels/half.h"
#include "core/kernels/packed_matrix.h"
#include "tests/support/random_tensor.h"

namespace lockstep {
namespace {

std::string EncodeQ8Block(const float* x) {
  float largest = 0;
  for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float scale = largest / 127;
  std::string block = LittleEndian(FloatToHalf(scale));
  for (size_t i = 0; i < 32; ++i) {
    block += static_cast<char>(static_cast<int>(std::rint(largest > 0 ? x[i] / scale : 0)));
  }
  return block;
}

// The value furthest from zero becomes code 0, that is -8.
std::string EncodeQ4Block(const float* x) {
  const float extreme =
      *std::max_element(x, x + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  const float scale = extreme / -8;
  const auto code = [&](size_t i) {
    const float steps = extreme != 0 ? x[i] / scale : 0;
    return static_cast<unsigned>(std::clamp(std::rint(steps) + 8, 0.0f, 15.0f));
  };
  std::string block = LittleEndian(FloatToHalf(scale));
  for (size_t i = 0; i < 16; ++i) block += static_cast<char>(code(i) | code(i + 16) << 4);
  return block;
}

// The other types' tensors are random bytes.
bool EncodesValues(WeightType type) {
  return type == WeightType::kF32 || type == WeightType::kF16 || type == WeightType::kBF16 ||
         type == WeightType::kQ8_0 || type == WeightType::kQ4_0;
}

std::string Encode(const std::vector<float>& values, WeightType type) {
  std::string out;
  switch (type) {
    case WeightType::kF32:
      for (const float v : values) out += LittleEndian(v);
      break;
    case WeightType::kF16:
      for (const float v : values) out += LittleEndian(FloatToHalf(v));
      break;
    case WeightType::kBF16:
      for (const float v : values) out += LittleEndian(FloatToBFloat16(v));
      break;
    case WeightType::kQ8_0:
      for (size_t i = 0; i < values.size(); i += 32) out += EncodeQ8Block(&values[i]);
      break;
    case WeightType::kQ4_0:
      for (size_t i = 0; i < values.size(); i += 32) out += EncodeQ4Block(&values[i]);
      break;
    default:
      assert(false);
  }
  return out;
}

// Characters first, then random strings of two to five letters, some with a space in front.
std::vector<std::string> Pieces(size_t count) {
  std::vector<std::string> pieces{"\u2581"};
  for (char c = 'a'; c <= 'z'; ++c) pieces.emplace_back(1, c);
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'")) {
    pieces.emplace_back(1, c);
  }
  for (const char* piece : {"th", "he", "in", "an", "\u2581t", "\u2581a", "the", "\u2581the",
                            "\u2581and", "\u2581o", "on", "ce", "\u2581once", "\u2581upon"}) {
    pieces.emplace_back(piece);
  }
  std::set<std::string> seen(pieces.begin(), pieces.end());
  Random random(7);
  while (pieces.size() < count) {
    std::string piece = random.Below(3) == 0 ? "\u2581" : "";
    for (uint64_t n = 2 + random.Below(4); n > 0; --n) {
      piece += static_cast<char>('a' + random.Below(26));
    }
    if (seen.insert(piece).second) pieces.push_back(piece);
  }
  pieces.resize(count);
  return pieces;
}

}  // namespace

GgufBuilder::Tensor RandomTensor(Random& random, std::string name, size_t rows, size_t cols,
                                 float low, float high, WeightType type) {
  std::vector<uint64_t> dims{cols};
  if (rows > 1) dims.push_back(rows);
  std::string data;
  if (EncodesValues(type)) {
    data = Encode(random.Floats(rows * cols, low, high), type);
  } else {  // of the same standard deviation
    const double std = (high - low) / std::sqrt(12.0);
    const auto bytes = RandomTensorBytes(random, type, rows * cols, std);
    data.assign(bytes.begin(), bytes.end());
  }
  return {std::move(name), std::move(dims), FormatOf(type).file.id, std::move(data)};
}

void SetTokenizer(GgufBuilder& file, size_t vocab) {
  constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types{kUnknown, kControl, kControl};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(kByte);
  }
  std::vector<float> scores(tokens.size(), 0.0f);
  assert(vocab > tokens.size());
  for (const std::string& piece : Pieces(vocab - tokens.size())) {
    scores.push_back(-static_cast<float>(tokens.size()));
    tokens.push_back(piece);
    types.push_back(kNormal);
  }
  file.SetString("tokenizer.ggml.model", "llama");
  file.SetString("tokenizer.ggml.pre", "default");
  file.SetStrings("tokenizer.ggml.tokens", tokens);
  file.SetNumbers("tokenizer.ggml.scores", 6, scores);
  file.SetNumbers("tokenizer.ggml.token_type", 5, types);
  file.SetU32("tokenizer.ggml.unknown_token_id", 0);
  file.SetU32("tokenizer.ggml.bos_token_id", 1);
  file.SetU32("tokenizer.ggml.eos_token_id", 2);
  file.SetBool("tokenizer.ggml.add_bos_token", true);
  file.SetBool("tokenizer.ggml.add_eos_token", false);
  file.SetBool("tokenizer.ggml.add_space_prefix", true);
}

}  // namespace lockstep
