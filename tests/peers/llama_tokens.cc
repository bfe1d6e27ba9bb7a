// Helper of compare_tokenizers, which builds it against libllama: llama.cpp's ids of many texts.
//
//   llama_tokens VOCABULARY.gguf TEXTS OUT PARSE
// TEXTS: for each, its length as u32 and its bytes. OUT: for each, the number of ids as u32 and the
// ids as i32. PARSE 1: control tokens are recognised in the texts; 0: they are not.
#include <llama.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  llama_model* model = llama_model_load_from_file(argv[1], params);
  if (model == nullptr) {
    std::fprintf(stderr, "llama_tokens: cannot load %s\n", argv[1]);
    return 1;
  }
  std::ifstream in(argv[2], std::ios::binary);
  const std::string texts((std::istreambuf_iterator<char>(in)), {});
  std::ofstream out(argv[3], std::ios::binary);
  std::vector<llama_token> ids;
  for (size_t at = 0; at + 4 <= texts.size();) {
    uint32_t size;
    std::memcpy(&size, &texts[at], 4);
    ids.resize(3 * size + 8);
    const int count =
        llama_tokenize(llama_model_get_vocab(model), &texts[at + 4], static_cast<int>(size),
                       ids.data(), static_cast<int>(ids.size()), false, argv[4][0] == '1');
    if (count < 0) return 1;
    at += 4 + size;
    const uint32_t n = static_cast<uint32_t>(count);
    out.write(reinterpret_cast<const char*>(&n), 4);
    out.write(reinterpret_cast<const char*>(ids.data()), 4 * static_cast<std::streamsize>(n));
  }
  return out.flush() ? 0 : 1;
}
