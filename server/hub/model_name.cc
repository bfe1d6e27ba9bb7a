// The rules are llama.cpp's, so that a name means the same file in both: a quantization is found in
// the file's name, whatever its case, with a separator behind it. Ours wants one in front too, so
// that Q4_XS is not found in IQ4_XS.
#include "server/hub/model_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/base/quoted.h"
#include "server/http/http_types.h"
#include "server/http/query.h"
#include "server/hub/url.h"

namespace lockstep {
namespace {

constexpr std::string_view kSuffix = ".gguf";
constexpr std::array<const char*, 2> kPreferred{"Q4_K_M", "Q8_0"};
// What else repositories hold as GGUF: projectors, importance matrices, draft heads.
constexpr std::array<std::string_view, 6> kOthers{"mmproj",  "imatrix", "mtp-",
                                                  "eagle3-", "dflash-", "dspark-"};
constexpr size_t kMostNamePart = 96, kMostPathPart = 255;

std::string Upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

bool EndsInSuffix(std::string_view text) {
  return text.size() > kSuffix.size() && Upper(text).ends_with(".GGUF");
}

// The hub's own rule for each half of a repository's name and for revisions.
bool IsNamePart(std::string_view text) {
  const bool fine = std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlphanumeric(c) || c == '-' || c == '_' || c == '.';
  });
  return fine && !text.empty() && text.size() <= kMostNamePart && text.front() != '.' &&
         text.front() != '-' && text.back() != '.' && text.back() != '-' &&
         text.find("..") == text.npos && text.find("--") == text.npos;
}

tl::unexpected<Error> Fail(std::string_view text, std::string_view why) {
  return Fail(
      ErrorKind::kInvalidArgument,
      fmt::format("{} names no model: {}; it is USER/REPO or USER/REPO:QUANTIZATION, such as "
                  "Qwen/Qwen3-4B-GGUF:Q4_K_M",
                  Quoted(text, 200), why),
      "hf");
}

Result<ModelName> ParseHubName(std::string_view text, std::string_view whole) {
  ModelName name;
  const size_t colon = text.find(':');
  name.repo = text.substr(0, colon);
  const size_t slash = name.repo.find('/');
  if (slash == name.repo.npos) return Fail(whole, "there is no / between user and repository");
  const std::string_view repo = name.repo;
  if (!IsNamePart(repo.substr(0, slash)) || !IsNamePart(repo.substr(slash + 1))) {
    return Fail(whole, fmt::format("a hub has no repository {}", Quoted(repo)));
  }
  if (colon == text.npos) return name;
  name.quant = text.substr(colon + 1);
  if (name.quant == "latest") {  // Ollama's word for the usual one
    name.quant.clear();
  } else if (!IsSafePath(name.quant)) {
    return Fail(whole, "what stands behind the colon is no quantization and no file's name");
  }
  return name;
}

// USER/REPO, or USER/REPO/resolve/REVISION/FILE, as a hub has it behind its address. None if it is
// neither.
bool ReadHubPath(std::string_view path, ModelName& name) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.size(), path.find('/'));
    if (parts.size() == 4) {  // a file may be in a folder
      parts.push_back(PercentDecoded(path));
      break;
    }
    if (end > 0) parts.push_back(PercentDecoded(path.substr(0, end)));
    path.remove_prefix(std::min(path.size(), end + 1));
  }
  if (parts.size() < 2 || !IsNamePart(parts[0]) || !IsNamePart(parts[1])) return false;
  name.repo = parts[0] + "/" + parts[1];
  if (parts.size() == 2) return !EndsInSuffix(parts[1]);
  if (parts.size() < 5 || (parts[2] != "resolve" && parts[2] != "blob") || !IsNamePart(parts[3]) ||
      !EndsInSuffix(parts[4]) || !IsSafePath(parts[4])) {
    return false;
  }
  name.revision = parts[3];
  name.quant = parts[4];
  return true;
}

Result<ModelName> ParseAddress(std::string_view text, std::string_view endpoint) {
  TRY(const Url url, ParseUrl(text));
  ModelName name;
  for (const std::string_view hub :
       {endpoint, std::string_view("https://huggingface.co"), std::string_view("https://hf.co")}) {
    const auto base = ParseUrl(hub);
    if (!base || base->Origin() != url.Origin()) continue;
    const std::string prefix = base->path == "/" ? "/" : base->path + "/";
    if (url.path.starts_with(prefix) && ReadHubPath(url.path.substr(prefix.size()), name)) {
      return name;
    }
  }
  if (!EndsInSuffix(url.path) || !IsSafePath(PercentDecoded(url.path.substr(1)))) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{} is neither a file's address, which ends in .gguf, nor a "
                            "repository's of a hub",
                            Quoted(text, 200)),
                "model");
  }
  return ModelName{{}, {}, {}, url.Text()};
}

std::string_view FileName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "Q4_K_M", "IQ4_XS", "BF16": letters of a kind and a digit.
bool BeginsAsQuant(std::string_view word) {
  for (const std::string_view kind : {"Q", "IQ", "TQ", "F", "BF", "MXFP", "NVFP"}) {
    if (word.size() > kind.size() && word.starts_with(kind) && word[kind.size()] >= '0' &&
        word[kind.size()] <= '9') {
      return true;
    }
  }
  return false;
}

// Whether the word stands in the path between separators, whatever its case. A '_' behind it is
// none, since Q4_K is not Q4_K_M, and in front of it only before a whole name, since K_M is not
// Q4_K_M.
bool HasWord(std::string_view path, std::string_view word) {
  const std::string in = Upper(path), wanted = Upper(word);
  const auto is_in = [](char c, std::string_view these) { return these.find(c) != these.npos; };
  const std::string_view before = BeginsAsQuant(wanted) ? "-./_" : "-./";
  for (size_t at = in.find(wanted); at != in.npos; at = in.find(wanted, at + 1)) {
    const size_t end = at + wanted.size();
    if ((at == 0 || is_in(in[at - 1], before)) && end < in.size() && is_in(in[end], "-./")) {
      return true;
    }
  }
  return false;
}

bool Matches(const std::string& file, const std::string& quant) {
  if (!EndsInSuffix(quant)) return IsModelFile(file) && HasWord(file, quant);
  // In a folder or not: the name alone will do where it is the only one.
  return Upper(file) == Upper(quant) || Upper(FileName(file)) == Upper(quant);
}

Result<std::vector<std::string>> WithParts(std::span<const std::string> files,
                                           const std::string& file) {
  const PartName part = ReadPartName(file);
  if (part.count == 1) return std::vector<std::string>{file};
  std::vector<std::string> parts;
  for (size_t i = 1; i <= part.count; ++i) {
    std::string name = NameOfPart(part, i);
    if (std::find(files.begin(), files.end(), name) == files.end()) {
      return Fail(ErrorKind::kNotFound,
                  fmt::format("{} is one of {} parts, and {} is missing", Quoted(file, 200),
                              part.count, Quoted(name, 200)));
    }
    parts.push_back(std::move(name));
  }
  return parts;
}

// What one could have asked for.
std::string WhatThereIs(std::span<const std::string> files) {
  std::set<std::string> quants;
  for (const std::string& file : files) {
    if (!IsModelFile(file)) continue;
    const std::string quant = QuantOf(file);
    quants.insert(quant.empty() ? Escaped(NameOfPart(ReadPartName(file), 1), 200) : quant);
  }
  if (quants.empty()) return "there is no GGUF file of a model";
  const std::vector<std::string> all(quants.begin(), quants.end());
  return "there is " + Listed(all);
}

}  // namespace

std::string ModelName::Text() const {
  if (repo.empty()) return address;
  return quant.empty() ? repo : repo + ":" + quant;
}

bool IsModelName(std::string_view text) { return text.starts_with("hf://") || IsUrl(text); }

Result<ModelName> ParseModelName(std::string_view text, std::string_view endpoint) {
  if (IsUrl(text)) return ParseAddress(text, endpoint);
  std::string_view name = text;
  for (const std::string_view prefix : {"hf://", "hf.co/", "huggingface.co/"}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  return ParseHubName(name, text);
}

PartName ReadPartName(std::string_view file) {
  // "-00001-of-00003.gguf"
  constexpr size_t kDigits = 5, kTail = 1 + kDigits + 4 + kDigits;
  const std::string_view stem = file.substr(0, file.size() - std::min(file.size(), kSuffix.size()));
  PartName one{std::string(file), 1, 1};
  if (!EndsInSuffix(file) || stem.size() <= kTail) return one;
  const std::string_view tail = stem.substr(stem.size() - kTail);
  const auto number = [](std::string_view digits) {
    size_t value = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + kDigits, value);
    return error == std::errc() && stop == digits.data() + kDigits ? value : 0;
  };
  const size_t index = number(tail.substr(1, kDigits));
  const size_t count = number(tail.substr(kTail - kDigits, kDigits));
  if (tail[0] != '-' || tail.substr(1 + kDigits, 4) != "-of-" || index == 0 || count < 2 ||
      index > count) {
    return one;
  }
  return {std::string(stem.substr(0, stem.size() - kTail)), index, count};
}

std::string NameOfPart(const PartName& part, size_t index) {
  if (part.count == 1) return part.prefix;
  return fmt::format("{}-{:05d}-of-{:05d}.gguf", part.prefix, index, part.count);
}

std::string QuantOf(std::string_view file) {
  PartName part = ReadPartName(file);
  std::string stem = Upper(FileName(part.prefix));
  if (part.count == 1 && EndsInSuffix(stem)) stem.resize(stem.size() - kSuffix.size());
  const size_t found = stem.find_last_of("-.");
  const bool dynamic = std::string_view(stem).substr(0, found).ends_with("-UD");
  // Behind the last of these, or behind an underscore there: Model_Q4_K_M.
  std::string_view word = stem;
  if (found != stem.npos) word.remove_prefix(found + 1);
  while (true) {
    if (BeginsAsQuant(word)) return (dynamic ? "UD-" : "") + std::string(word);
    const size_t next = word.find('_');
    if (next == word.npos) return {};
    word.remove_prefix(next + 1);
  }
}

bool IsModelFile(std::string_view file) {
  const std::string_view name = FileName(file);
  return EndsInSuffix(name) && std::none_of(kOthers.begin(), kOthers.end(), [name](auto other) {
           return name.find(other) != name.npos;
         });
}

bool IsSafePath(std::string_view path) {
  if (path.empty()) return false;
  while (true) {
    const size_t end = std::min(path.size(), path.find('/'));
    const std::string_view part = path.substr(0, end);
    const bool plain = std::all_of(part.begin(), part.end(), [](char c) {
      return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\';
    });
    if (part.empty() || part == "." || part == ".." || part.size() > kMostPathPart || !plain) {
      return false;
    }
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

Result<std::vector<std::string>> ChooseModel(std::span<const std::string> files,
                                             const std::string& quant) {
  const auto find = [files](const std::string& wanted) {
    // A file whose quantization is just this comes before one with more to it, such as UD-Q4_K_M.
    for (const bool exact : {true, false}) {
      for (const std::string& file : files) {
        if (ReadPartName(file).index == 1 && Matches(file, wanted) &&
            (!exact || EndsInSuffix(wanted) || QuantOf(file) == Upper(wanted))) {
          return &file;
        }
      }
    }
    return static_cast<const std::string*>(nullptr);
  };
  if (!quant.empty()) {
    if (const std::string* file = find(quant)) return WithParts(files, *file);
    return Fail(ErrorKind::kNotFound,
                fmt::format("there is no {}; {}", Quoted(quant, 200), WhatThereIs(files)));
  }
  for (const char* const preferred : kPreferred) {
    if (const std::string* file = find(preferred)) return WithParts(files, *file);
  }
  for (const std::string& file : files) {
    if (IsModelFile(file) && ReadPartName(file).index == 1) return WithParts(files, file);
  }
  return Fail(ErrorKind::kNotFound, WhatThereIs(files));
}

}  // namespace lockstep
