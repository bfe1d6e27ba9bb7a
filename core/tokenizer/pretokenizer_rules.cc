// All patterns take linear time on any text. Where llama.cpp cuts otherwise than the model's own
// tokenizer, they follow llama.cpp, with which most GGUF files are made and tried out:
//   - tekken and gpt-4o tell the case of A-Z and a-z only, and count no mark as a letter;
//   - deepseek-llm and deepseek-coder count U+3000 and its like as spaces and as nothing else.

#include "core/tokenizer/pretokenizer_rules.h"

namespace lockstep {
namespace {

// The parts that most patterns share. CONTRACTIONS: 's, 't, 're, 've, 'm, 'll and 'd of English, in
// both cases. LETTERS: a word with the one character before it, so " the" and "(the" are pieces.
// OTHERS: a run of neither letters nor numbers, with the space before it and the ends of lines
// after it. SPACES: all spaces up to an end of line; else all but the last, which belongs to the
// word that follows: "a   b" is "a", "  ", " b".
#define CONTRACTIONS R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define LETTERS R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define OTHERS R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
// Words of capitals and then small letters, or of capitals alone, with a character before them. A
// negated class of negations is an intersection: [^\P{L}a-z] is a letter other than a to z.
#define SMALL_WORD R"([^\r\n\p{L}\p{N}]?[^\P{L}a-z]*[^\P{L}A-Z]+)"
#define CAPITAL_WORD R"([^\r\n\p{L}\p{N}]?[^\P{L}a-z]+[^\P{L}A-Z]*)"
#define HAN                                                                             \
  R"(\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}\x{2A700}-)" \
  R"(\x{2EBEF}\x{2F800}-\x{2FA1F})"

// GPT-2's own pattern ends in |\s+, which is left out: it would match only what no other
// alternative does, and that becomes a piece anyhow.
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
// Qwen cuts numbers into single digits, Llama 3 into threes from the left: "12345" is "123", "45".
constexpr const char* kQwen2 = CONTRACTIONS "|" LETTERS R"(|\p{N}|)" OTHERS "|" SPACES;
constexpr const char* kLlama3 = CONTRACTIONS "|" LETTERS R"(|\p{N}{1,3}|)" OTHERS "|" SPACES;
constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kThreeDigits = R"(\p{N}{1,3})";

constexpr const char* kQwen35 =
    CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" SPACES;
constexpr const char* kTekken =
    SMALL_WORD "|" CAPITAL_WORD R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;
constexpr const char* kGpt4o = SMALL_WORD "(?:" CONTRACTIONS ")?|" CAPITAL_WORD "(?:" CONTRACTIONS
                                          R"()?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;
constexpr const char* kMiniCpm5 = CONTRACTIONS "|" LETTERS R"(|\p{N}+|)" OTHERS "|" SPACES;
constexpr const char* kBailing =
    CONTRACTIONS "|" LETTERS R"(|\p{N}|)" OTHERS R"(|\s*[\r\n]|\s+(?!\S)|\s+)";
// A word's letters have their marks, and it goes on over single spaces.
constexpr const char* kExaoneMoe =
    CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}\p{M}*(?: ?\p{L}\p{M}*)*|\p{N}|)"
                 R"( ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char* kSeedCoder =
    CONTRACTIONS "|" LETTERS R"(|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|)" SPACES;
constexpr const char* kJais2 = CONTRACTIONS
    "|" LETTERS R"(|\p{N}{1,3}|)" OTHERS
    R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|)"
    R"(\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)";
constexpr const char* kKimi = "[" HAN R"(]+|[^\r\n\p{L}\p{N}]?[^\P{L})" HAN "]+(?:" CONTRACTIONS
                              R"()?|\p{N}{1,3}|)" OTHERS "|" SPACES;
constexpr const char* kBloom =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{0964}\x{06D4}\x{060C})]+)";

constexpr const char* kYoutuScripts =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|)"
    R"([\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
    R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|)"
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)";
constexpr const char* kYoutu = R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:)" CONTRACTIONS
                               R"()?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;

constexpr const char* kChineseAndKana = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)";
constexpr const char* kDeepseek3 =
    R"([!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" SPACES;

// DeepSeek LLM's letters: those that have a case, as of its Unicode version.
constexpr const char* kCasedLetters =
    R"(\s?[)"
    R"(A-Za-z\x{00B5}\x{00C0}-\x{00D6}\x{00D8}-\x{00F6}\x{00F8}-\x{01BA}\x{01BC}-\x{01BF})"
    R"(\x{01C4}-\x{0293}\x{0295}-\x{02AF}\x{0370}-\x{0373}\x{0376}\x{0377}\x{037B}-\x{037D})"
    R"(\x{037F}\x{0386}\x{0388}-\x{038A}\x{038C}\x{038E}-\x{03A1}\x{03A3}-\x{03F5})"
    R"(\x{03F7}-\x{0481}\x{048A}-\x{052F}\x{0531}-\x{0556}\x{10A0}-\x{10C5})"
    R"(\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15})"
    R"(\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B})"
    R"(\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC})"
    R"(\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115})"
    R"(\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139})"
    R"(\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B})"
    R"(\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B})"
    R"(\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF})"
    R"(\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A})"
    R"(\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2})"
    R"(\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})"
    R"(]+)";
constexpr const char* kPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3001}\x{3002}]+)";
// The published range is U+0800 to U+9FA5; the gaps are its spaces.
constexpr const char* kAsianLetters =
    R"([\x{0800}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E})"
    R"(\x{2060}-\x{2FFF}\x{3001}-\x{9FA5}\x{AC00}-\x{D7FF}]+)";
// The look-behind changes no match, but keeps the search linear.
constexpr const char* kSpaceAtEnd = R"((?<!\s)\s+$)";

// By the names of llama.cpp's converter, which go into tokenizer.ggml.pre. Several patterns in a
// row cut the pieces that the ones before made: {kDigit, kGpt2} takes single digits out of the
// text, and then cuts what is between them. The flags: whole_words_first, adds_bos, composes.
constexpr PretokenizerRules kRules[] = {
    {"default", {R"([\p{P}$+<=>^~|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
    {"gpt-2 phi-2 gigachat a.x-4.0 mellum exaone4 jais trillion granite-docling modern-bert "
     "roberta-bpe jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
     {kGpt2}},
    {"olmo mpt", {kGpt2}, false, false, true},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     {kLlama3},
     true,
     true},
    {"dbrx smaug-bpe chatglm-bpe glm4 glm5", {kLlama3}},
    {"qwen2 stablelm2 f2llmv2", {kQwen2}, false, false, true},
    {"laguna", {R"(\n+)", kQwen2}},
    {"exaone-moe", {kExaoneMoe}},
    {"megrez deepseek-r1-qwen kormo hunyuan solar-open grok-2", {kQwen2}},
    {"qwen35", {kQwen35}, false, false, true},
    {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kAsianLetters, kDigit}},
    {"deepseek-llm",
     {R"([\r\n])", kCasedLetters, kPunctuation, kSpaceAtEnd, kAsianLetters, R"(\p{N}+)"}},
    {"deepseek-v3 hunyuan-dense joyai-llm", {kThreeDigits, kChineseAndKana, kDeepseek3}},
    {"starcoder refact smollm codeshell exaone minerva-7b mellum2", {kDigit, kGpt2}},
    {"command-r", {kDigit, kGpt2}, false, false, true},
    {"falcon", {R"([\p{P}$+<=>^~|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
    {"tekken", {kTekken}, true, true},
    {"gpt-4o llama4 kanana2 minimax-m2 talkie", {kGpt4o}},
    {"minicpm5", {kThreeDigits, kMiniCpm5}, true},
    {"seed-coder", {kSeedCoder}},
    {"bailingmoe bailingmoe2 llada-moe", {kBailing}},
    {"youtu", {kYoutuScripts, kYoutu}, true},
    {"kimi-k2", {kKimi}},
    {"jais-2", {kJais2}},
    {"bloom poro-chat gpt3-finnish", {kBloom}},
    {"viking", {kBloom, kDigit}},
};

// Calls visit(name, rules) for each name; stops where it returns false.
template <class Visit>
void ForEachName(const Visit& visit) {
  for (const PretokenizerRules& rules : kRules) {
    for (std::string_view rest = rules.names; !rest.empty();) {
      const std::string_view name = rest.substr(0, rest.find(' '));
      if (!visit(name, rules)) return;
      rest.remove_prefix(name.size());
      if (!rest.empty()) rest.remove_prefix(1);
    }
  }
}

}  // namespace

const PretokenizerRules* FindPretokenizerRules(std::string_view name) {
  const PretokenizerRules* found = nullptr;
  ForEachName([&](std::string_view candidate, const PretokenizerRules& rules) {
    if (candidate == name) found = &rules;
    return found == nullptr;
  });
  return found;
}

std::string KnownPretokenizers() {
  std::string known;
  for (const PretokenizerRules& rules : kRules) {
    const std::string_view names = rules.names;
    known.append(known.empty() ? "" : ", ").append(names.substr(0, names.find(' ')));
  }
  return known;
}

}  // namespace lockstep
