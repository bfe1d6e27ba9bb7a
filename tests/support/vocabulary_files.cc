#include "tests/support/vocabulary_files.h"

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace lockstep {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string TestData(const std::string& name) {
  return std::string(LOCKSTEP_TEST_DATA_DIR) + "/" + name;
}

Tokenizer LoadTokenizer(const std::string& gguf_path) {
  const std::string bytes = ReadFile(gguf_path);
  const auto file =
      GgufFile::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, gguf_path);
  if (!file) throw std::runtime_error(file.error().message);
  auto tokenizer = Tokenizer::Create(*file);
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return *std::move(tokenizer);
}

std::vector<TokenizedText> ReadTokenizedTexts(const std::string& texts, const std::string& ids) {
  const std::string kEnd = "\n__ggml_vocab_test__\n";
  const std::string all = ReadFile(texts);
  std::istringstream lines(ReadFile(ids));
  std::vector<TokenizedText> out;
  for (size_t begin = 0, end; (end = all.find(kEnd, begin)) != std::string::npos;
       begin = end + kEnd.size()) {
    std::string line;
    if (!std::getline(lines, line)) throw std::runtime_error(ids + " has too few lines");
    std::istringstream numbers(line);
    out.push_back({all.substr(begin, end - begin),
                   {std::istream_iterator<int32_t>(numbers), std::istream_iterator<int32_t>()}});
  }
  return out;
}

}  // namespace lockstep
