#include <fmt/format.h>

#include <algorithm>

#include "core/gguf/gguf_file.h"
#include "tests/support/malformed_edit.h"

namespace lockstep {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<std::string> TokensOf(const GgufBuilder& b) {
  const std::vector<uint8_t> bytes = b.Build();
  const auto file = GgufFile::Parse(bytes, "");
  const auto& views = *file->GetStrings("tokenizer.ggml.tokens").value();
  return {views.begin(), views.end()};
}

Maker EditTokens(std::function<void(std::vector<std::string>&)> edit) {
  return Edited([edit = std::move(edit)](GgufBuilder& b) {
    std::vector<std::string> tokens = TokensOf(b);
    edit(tokens);
    b.SetStrings("tokenizer.ggml.tokens", tokens);
  });
}

}  // namespace

std::vector<MalformedCase> ModelCases() {
  const std::string eps = "llama.attention.layer_norm_rms_epsilon";
  const auto heads = [](uint32_t n, uint32_t kv) {
    return Edited([=](GgufBuilder& b) {
      b.SetU32("llama.attention.head_count", n);
      b.SetU32("llama.attention.head_count_kv", kv);
      b.Remove("llama.attention.key_length");
      b.Remove("llama.attention.value_length");
      b.Remove("llama.rope.dimension_count");
    });
  };
  return {
      {33,
       "no architecture",
       Edited([](GgufBuilder& b) { b.Remove("general.architecture"); }),
       {"general.architecture is missing"}},
      {34,
       "another architecture",
       Edited([](GgufBuilder& b) { b.SetString("general.architecture", "mamba"); }),
       {"general.architecture is \"mamba\"", "gemma2, gemma3, gemma4", "qwen3moe", "only"}},
      {35, "no layers", SetU32("llama.block_count", 0), {"llama.block_count is 0", "1 to 1024"}},
      {36,
       "2^31 layers",
       SetU32("llama.block_count", 1u << 31),
       {"llama.block_count is 2147483648", "1024"}},
      {37,
       "no heads",
       SetU32("llama.attention.head_count", 0),
       {"llama.attention.head_count is 0"}},
      {38, "embedding / heads", heads(3, 3), {"llama.embedding_length is 32", "head_count 3"}},
      {39, "heads / kv heads", heads(4, 3), {"llama.attention.head_count is 4", "head_count_kv 3"}},
      {39, "no kv heads", heads(4, 0), {"llama.attention.head_count_kv is 0"}},
      {40, "no context", SetU32("llama.context_length", 0), {"llama.context_length is 0"}},
      {40,
       "absurd context",
       SetU32("llama.context_length", 1u << 31),
       {"llama.context_length is 2147483648", "16777216"}},
      {41, "eps NaN", SetF32(eps, kNan), {eps + " is nan"}},
      {41, "eps infinite", SetF32(eps, kInfinity), {eps + " is inf"}},
      {41, "eps negative", SetF32(eps, -1e-5f), {eps + " is -"}},
      {42, "freq_base 0", SetF32("llama.rope.freq_base", 0), {"llama.rope.freq_base is 0"}},
      {42,
       "freq_base negative",
       SetF32("llama.rope.freq_base", -1),
       {"llama.rope.freq_base is -1"}},
      {42, "freq_base NaN", SetF32("llama.rope.freq_base", kNan), {"llama.rope.freq_base is nan"}},
      {43,
       "odd rope dimension",
       SetU32("llama.rope.dimension_count", 7),
       {"llama.rope.dimension_count is 7", "even"}},
      {43,
       "rope dimension > head",
       SetU32("llama.rope.dimension_count", 10),
       {"llama.rope.dimension_count is 10", "head size 8"}},
      {44,
       "no feed-forward",
       SetU32("llama.feed_forward_length", 0),
       {"llama.feed_forward_length is 0"}},
      {45,
       "KV cache over budget",
       Edited([](GgufBuilder& b) {
         b.SetU32("llama.context_length", 1 << 24);
         b.SetU32("llama.block_count", 1024);
         b.SetU32("llama.attention.head_count", 1024);
         b.SetU32("llama.attention.head_count_kv", 1024);
       }),
       {"llama.context_length is 16777216", "1024 layers", "1099511627776"}},
  };
}

void UseByteLevelBpe(GgufBuilder& b) {
  std::vector<std::string> tokens;
  for (int byte = 0, moved = 0; byte < 256; ++byte) {
    const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    const int code = printable ? byte : 256 + moved++;
    if (code < 0x80) {
      tokens.emplace_back(1, static_cast<char>(code));
    } else {
      tokens.push_back({static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | code % 64)});
    }
  }
  tokens.push_back("th");
  while (tokens.size() < 300) tokens.push_back(fmt::format("unused{}", tokens.size()));
  b.SetString("tokenizer.ggml.model", "gpt2");
  b.SetString("tokenizer.ggml.pre", "gpt-2");
  b.SetStrings("tokenizer.ggml.tokens", tokens);
  b.SetStrings("tokenizer.ggml.merges", {"t h"});
  // The last token, so that every byte stays an ordinary one.
  for (const char* role : {"bos", "eos", "unknown"}) {
    b.SetU32(fmt::format("tokenizer.ggml.{}_token_id", role), 299);
  }
  b.Remove("tokenizer.ggml.scores");
  b.Remove("tokenizer.ggml.token_type");
}

std::vector<MalformedCase> TokenizerCases() {
  const auto bpe = [](Edit edit) {
    return Edited([edit = std::move(edit)](GgufBuilder& b) {
      UseByteLevelBpe(b);
      edit(b);
    });
  };
  const auto chat_template = [](size_t size) {
    return Edited(
        [=](GgufBuilder& b) { b.SetString("tokenizer.chat_template", std::string(size, '{')); });
  };
  return {
      {46,
       "no tokenizer",
       Edited([](GgufBuilder& b) { b.Remove("tokenizer.ggml.model"); }),
       {"tokenizer.ggml.model is missing"}},
      {46,
       "unknown tokenizer",
       Edited([](GgufBuilder& b) { b.SetString("tokenizer.ggml.model", "nobody"); }),
       {"tokenizer.ggml.model is \"nobody\""}},
      {47,
       "no tokens",
       EditTokens([](auto& t) { t.clear(); }),
       {"tokenizer.ggml.tokens is missing or empty"}},
      {48,
       "fewer tokens than rows",
       EditTokens([](auto& t) { t.pop_back(); }),
       {"tokenizer.ggml.tokens has 299 tokens", "300 rows"}},
      {48,
       "more tokens than rows",
       EditTokens([](auto& t) { t.push_back("more"); }),
       {"tokenizer.ggml.tokens has 301 tokens", "300 rows"}},
      {49,
       "fewer scores",
       Edited([](GgufBuilder& b) { b.SetNumbers<float>("tokenizer.ggml.scores", 6, {1.0f}); }),
       {"tokenizer.ggml.scores has 1 values", "300"}},
      {49,
       "fewer types",
       Edited([](GgufBuilder& b) { b.SetNumbers<int32_t>("tokenizer.ggml.token_type", 5, {1}); }),
       {"tokenizer.ggml.token_type has 1 values", "300"}},
      {50,
       "token not UTF-8",
       EditTokens([](auto& t) { t[270] = "a\xff"; }),
       {"tokenizer.ggml.tokens[270] is \"a\\xff\"", "UTF-8"}},
      {51,
       "duplicate token",
       EditTokens([](auto& t) { t[270] = t[265]; }),
       {"tokenizer.ggml.tokens[270]", "token 265"}},
      {52,
       "merge without a space",
       bpe([](GgufBuilder& b) { b.SetStrings("tokenizer.ggml.merges", {"th"}); }),
       {"tokenizer.ggml.merges[0] is \"th\"", "space"}},
      {52,
       "merge of unknown parts",
       bpe([](GgufBuilder& b) {
         b.SetStrings("tokenizer.ggml.merges", {"t h", "t qq"});
       }),
       {"tokenizer.ggml.merges[1] is \"t qq\"", "\"qq\""}},
      {53,
       "bos outside",
       SetU32("tokenizer.ggml.bos_token_id", 300),
       {"tokenizer.ggml.bos_token_id is 300", "299"}},
      {53,
       "eos outside",
       SetU32("tokenizer.ggml.eos_token_id", 0xFFFFFFFF),
       {"tokenizer.ggml.eos_token_id is 4294967295", "299"}},
      {53,
       "unk outside",
       SetU32("tokenizer.ggml.unknown_token_id", 300),
       {"tokenizer.ggml.unknown_token_id is 300", "299"}},
      {54,
       "a byte token fewer",
       Edited([](GgufBuilder& b) {
         std::vector<int32_t> types(300, 1);
         std::fill(types.begin() + 4, types.begin() + 259, 6);  // 3, <0x00>, is left out
         b.SetNumbers("tokenizer.ggml.token_type", 5, types);
       }),
       {"tokenizer.ggml.tokens has 255 byte tokens", "256"}},
      {55,
       "unknown pre-tokenizer",
       bpe([](GgufBuilder& b) { b.SetString("tokenizer.ggml.pre", "no-such"); }),
       {"tokenizer.ggml.pre is \"no-such\""}},
      // A template is parsed by whoever chats, so loading looks at its size only.
      {56,
       "chat template over 64 KiB",
       chat_template(65537),
       {"tokenizer.chat_template has 65537 bytes", "65536"}},
  };
}

}  // namespace lockstep
