// Bytes through all that reads a model file. Needs clang and sanitizers:
//   cmake -S . -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++
//   -DLOCKSTEP_SANITIZE=address,undefined ninja -C build/fuzz gguf_fuzz gguf_corpus && mkdir -p
//   build/fuzz/gguf && cd build/fuzz
//   ./gguf_corpus gguf && ./gguf_fuzz -max_len=65536 -max_total_time=60 gguf

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/gguf/gguf_file.h"
#include "core/kernels/thread_pool.h"
#include "core/tokenizer/tokenizer.h"
#include "core/transformer/model_config.h"
#include "core/transformer/weights.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  static ThreadPool pool(1);
  const auto file = GgufFile::Parse({data, size}, "fuzz");
  if (!file) return 0;
  // Each reader by itself, so that a fault that one finds does not hide the next one.
  const auto tokenizer = Tokenizer::Create(*file);
  if (tokenizer) {
    for (const SpecialTokens special : {SpecialTokens::kAsText, SpecialTokens::kParse}) {
      for (const int32_t id : tokenizer->Encode("Once upon \xff a <s> time", true, special)) {
        if (id < 0 || static_cast<size_t>(id) >= tokenizer->vocab_size()) std::abort();
      }
    }
  }
  const auto config = ReadModelConfig(*file);
  if (!config) return 0;
  const auto weights = LoadWeights(*file, *config, pool);
  const Status checked = CheckWeights(*file, *config);
  if (weights.has_value() != checked.has_value()) std::abort();
  if (const auto mtp = MtpConfig(*config); weights && mtp) {
    const auto block = LoadMtpWeights(*file, *mtp, config->layers.size(), *weights, pool);
    if (block && block->layers.size() != 1) std::abort();
  }
  return 0;
}
