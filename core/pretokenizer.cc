#include "core/pretokenizer.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <utility>

#include "core/text.h"
#include "core/utf8.h"

namespace lockstep {
namespace {

// The patterns are those of the models' published tokenizers. All take linear time on any text.
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr const char* kQwen2 =
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

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
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
constexpr const char* kAsianLetters = R"([\x{0800}-\x{9FA5}\x{AC00}-\x{D7FF}]+)";
// The look-behind changes no match, but keeps the search linear.
constexpr const char* kSpaceAtEnd = R"((?<!\s)\s+$)";

struct Rules {
  std::string_view name;
  std::array<const char*, 6> patterns;  // the first nullptr ends them
  bool whole_words_first = false;
  bool adds_bos = false;
};

constexpr Rules kRules[] = {
    {"default", {R"([\p{P}$+<=>^~|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
    {"gpt-2", {kGpt2}},
    {"llama-bpe", {kLlama3}, true, true},
    {"qwen2", {kQwen2}},
    {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kAsianLetters, R"(\p{N})"}},
    {"deepseek-llm",
     {R"([\r\n])", kCasedLetters, kPunctuation, kSpaceAtEnd, kAsianLetters, R"(\p{N}+)"}},
    {"starcoder", {R"(\p{N})", kGpt2}},
    {"smollm", {R"(\p{N})", kGpt2}},
};

// The patterns never come near these; they bound the work should PCRE2 surprise us.
constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kDepthLimit = 10'000;

// In the models' patterns \s is Unicode's property; PCRE2's takes in U+180E as well.
std::string WithUnicodeSpaces(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view two = pattern.substr(i, 2);
    if (two == "\\s" || two == "\\S") {
      out += two == "\\s" ? "\\p{White_Space}" : "\\P{White_Space}";
      ++i;
    } else {
      out += pattern[i];
    }
  }
  return out;
}

// PCRE2 checks a whole subject at every match unless told not to, which would take quadratic time:
// it is given valid text instead, byte for byte as long. A control character is to the patterns
// what U+FFFD is: neither letter, number, punctuation nor space.
std::string WithoutInvalidBytes(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Scan scan = ScanUtf8(text);
    if (scan.kind == Utf8Scan::Kind::kCharacter) {
      out += text.substr(0, scan.length);
    } else {
      out.append(scan.length, '\x1A');
    }
    text.remove_prefix(scan.length);
  }
  return out;
}

}  // namespace

Result<Pretokenizer> Pretokenizer::Create(std::string_view name) {
  const Rules* rules = nullptr;
  std::string known;
  for (const Rules& candidate : kRules) {
    if (candidate.name == name) rules = &candidate;
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", candidate.name);
  }
  if (rules == nullptr) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("tokenizer.ggml.pre is {}, which is not supported: "
                            "known are {}",
                            Quoted(name), known));
  }
  Pretokenizer pretokenizer;
  pretokenizer.whole_words_first_ = rules->whole_words_first;
  pretokenizer.adds_bos_ = rules->adds_bos;
  for (const char* published : rules->patterns) {
    if (published == nullptr) break;
    const std::string pattern = WithUnicodeSpaces(published);
    int error = 0;
    size_t offset = 0;
    pcre2_code* code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &offset, nullptr);
    if (code == nullptr) {
      return Fail(ErrorKind::kInternal,
                  fmt::format("PCRE2 does not take pattern \"{}\" of \"{}\": error {} at {}",
                              pattern, name, error, offset));
    }
    pretokenizer.patterns_.emplace_back(code);
    // Where no executable memory is to be had, the interpreter finds the same matches.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  }
  pretokenizer.limits_.reset(pcre2_match_context_create(nullptr));
  if (pretokenizer.limits_ == nullptr) {
    return Fail(ErrorKind::kInternal, "no memory for the pre-tokenizer's match context");
  }
  pcre2_set_match_limit(pretokenizer.limits_.get(), kMatchLimit);
  pcre2_set_depth_limit(pretokenizer.limits_.get(), kDepthLimit);
  return pretokenizer;
}

std::vector<std::string_view> Pretokenizer::Split(std::string_view text) const {
  std::string valid;
  std::string_view subject = text;
  if (!IsUtf8(text)) subject = valid = WithoutInvalidBytes(text);

  const std::unique_ptr<pcre2_match_data, Free> match(pcre2_match_data_create(1, nullptr));
  std::vector<std::string_view> pieces;
  if (!subject.empty()) pieces.push_back(subject);
  for (const auto& pattern : patterns_) {
    std::vector<std::string_view> smaller;
    for (const std::string_view piece : pieces) {
      SplitBy(pattern.get(), piece, match.get(), &smaller);
    }
    pieces = std::move(smaller);
  }
  for (std::string_view& piece : pieces) {
    piece = text.substr(static_cast<size_t>(piece.data() - subject.data()), piece.size());
  }
  return pieces;
}

// Every match is a piece, and so is what lies between two. An error of PCRE2's is no match: the
// rest of the piece stays whole, which is a worse cut, but loses nothing.
void Pretokenizer::SplitBy(const pcre2_code* code, std::string_view piece, pcre2_match_data* match,
                           std::vector<std::string_view>* pieces) const {
  size_t done = 0;
  while (done < piece.size()) {
    const int count =
        match == nullptr
            ? PCRE2_ERROR_NOMEMORY
            : pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), done,
                          PCRE2_NO_UTF_CHECK, match, limits_.get());
    if (count < 0) break;
    const size_t* span = pcre2_get_ovector_pointer(match);
    const size_t begin = span[0];
    const size_t end = span[1];
    if (end <= begin) break;  // no pattern matches nothing; the loop must end even so
    if (begin > done) pieces->push_back(piece.substr(done, begin - done));
    pieces->push_back(piece.substr(begin, end - begin));
    done = end;
  }
  if (done < piece.size()) pieces->push_back(piece.substr(done));
}

}  // namespace lockstep
