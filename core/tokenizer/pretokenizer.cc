// The patterns are those that the models' authors published, run by PCRE2 with its just-in-time
// compiler. Patterns of several steps cut the pieces of the step before, as in Hugging Face's
// tokenizers.
#include "core/tokenizer/pretokenizer.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/tokenizer/pretokenizer_rules.h"

namespace lockstep {
namespace {

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
  const PretokenizerRules* rules = FindPretokenizerRules(name);
  if (rules == nullptr) {
    return Fail(ErrorKind::kBadFile, fmt::format("tokenizer.ggml.pre is {}, which is not "
                                                 "supported: known are {} and their like",
                                                 Quoted(name), KnownPretokenizers()));
  }
  Pretokenizer pretokenizer;
  pretokenizer.whole_words_first_ = rules->whole_words_first;
  pretokenizer.adds_bos_ = rules->adds_bos;
  pretokenizer.composes_ = rules->composes;
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
  // The subject may be a copy, but has as many bytes, so that its pieces are at the same places.
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
