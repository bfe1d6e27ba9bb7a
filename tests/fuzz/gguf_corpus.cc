// Writes seeds for gguf_fuzz into a folder: sound models of every type and the malformed files.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/malformed_gguf.h"

namespace {

using namespace lockstep;

std::vector<std::vector<uint8_t>> Seeds() {
  std::vector<std::vector<uint8_t>> seeds;
  TinyModelOptions options = MalformedBase();
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16,
                                WeightType::kQ8_0, WeightType::kQ4_0}) {
    options.type = type;
    options.tied = !options.tied;
    seeds.push_back(TinyModel(options));
  }
  GgufBuilder bpe = TinyModelBuilder(options);
  UseByteLevelBpe(bpe);
  seeds.push_back(bpe.Build());
  for (const MalformedCase& c : MalformedGgufCases()) {
    const TempFile file;
    c.make(file);
    std::error_code ignored;  // such as that of a link to itself
    if (!std::filesystem::is_regular_file(file.path(), ignored)) continue;
    std::ifstream in(file.path(), std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: gguf_corpus FOLDER\n", stderr);
    return 2;
  }
  size_t n = 0;
  for (const std::vector<uint8_t>& seed : Seeds()) {
    std::ofstream(std::string(argv[1]) + "/seed-" + std::to_string(n++), std::ios::binary)
        .write(reinterpret_cast<const char*>(seed.data()),
               static_cast<std::streamsize>(seed.size()));
  }
  return 0;
}
