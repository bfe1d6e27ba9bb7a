// Helper of compare_error, which builds it against libllama: writes llama.cpp's logits, float32
// [tokens][vocab], with its default context parameters (f16 KV cache, flash attention "auto").
//
//   llama_logits MODEL TOKENS WINDOW THREADS OUT        TOKENS: int32 ids, whole windows
#include <llama.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

namespace {

[[noreturn]] void Quit(const char* what) {
  std::fprintf(stderr, "llama_logits: %s\n", what);
  std::exit(1);
}

std::vector<llama_token> ReadTokens(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) Quit("cannot read the tokens");
  const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  const auto* ids = reinterpret_cast<const llama_token*>(bytes.data());
  return {ids, ids + bytes.size() / sizeof(llama_token)};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) Quit("usage: llama_logits MODEL TOKENS WINDOW THREADS OUT");
  ggml_backend_load_all();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) Quit("cannot load the model");
  const int window = std::atoi(argv[3]);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = static_cast<uint32_t>(window);
  params.n_threads = params.n_threads_batch = std::atoi(argv[4]);
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) Quit("cannot make a context");
  const auto vocab = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));

  const std::vector<llama_token> tokens = ReadTokens(argv[2]);
  std::ofstream out(argv[5], std::ios::binary);
  llama_batch batch = llama_batch_init(window, 0, 1);
  batch.n_tokens = window;
  for (size_t at = 0; at < tokens.size(); at += static_cast<size_t>(window)) {
    llama_memory_clear(llama_get_memory(context), true);
    for (int i = 0; i < window; ++i) {
      batch.token[i] = tokens[at + static_cast<size_t>(i)];
      batch.pos[i] = i;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = 1;
    }
    if (llama_decode(context, batch) != 0) Quit("cannot evaluate a window");
    for (int i = 0; i < window; ++i) {
      out.write(reinterpret_cast<const char*>(llama_get_logits_ith(context, i)),
                static_cast<std::streamsize>(vocab * sizeof(float)));
    }
  }
  llama_batch_free(batch);
  llama_free(context);
  llama_model_free(model);
  if (!out.flush()) Quit("cannot write the logits");
  return 0;
}
