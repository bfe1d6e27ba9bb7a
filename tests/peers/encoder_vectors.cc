// Helper of compare_embeddings.
//
//   encoder_vectors list             prints the names of the models that make vectors
//   encoder_vectors make NAME OUT    writes one of them, with random F32 weights
//   encoder_vectors embed MODEL      reads texts, a line of ids each, and prints a line of values
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/gguf/mapped_file.h"
#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "core/transformer/model_config.h"
#include "core/transformer/transformer.h"
#include "tests/peers/command.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

void List() {
  for (const auto& [name, options] : TinyEncoders()) {
    if (options.scores == 0) fmt::print("{}\n", name);
  }
}

void Make(const std::string& name, const std::string& path) {
  for (const auto& [family, options] : TinyEncoders()) {
    if (family != name) continue;
    return WriteFile(path, TinyModel(options));
  }
  throw std::runtime_error(name + ": no such model");
}

void Embed(const std::string& path) {
  SetComputeFloatMode();
  const MappedFile bytes = Need(MappedFile::Open(path));
  const GgufFile file = Need(GgufFile::Parse(bytes.bytes(), path));
  const ModelConfig config = Need(ReadModelConfig(file));
  ThreadPool pool(1);
  const Transformer transformer(config, Need(LoadWeights(file, config, pool)),
                                *ChooseKernels("auto").kernels);
  Scratch scratch(config, config.context, 1, 1);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::vector<int32_t> ids;
    for (int32_t id; in >> id;) ids.push_back(id);
    const EncoderText text = {ids};
    if (const Status done = transformer.Encode({&text, 1}, scratch, pool); !done) {
      throw std::runtime_error(done.error().message);
    }
    fmt::print("{}\n", fmt::join(scratch.logits(0), " "));
  }
}

void Run(const std::vector<std::string>& arguments) {
  const std::string what = arguments.size() > 1 ? arguments[1] : "";
  if (what == "list" && arguments.size() == 2) return List();
  if (what == "make" && arguments.size() == 4) return Make(arguments[2], arguments[3]);
  if (what == "embed" && arguments.size() == 3) return Embed(arguments[2]);
  throw std::runtime_error("usage: list, make NAME OUT, or embed MODEL");
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  return lockstep::RunCommand("encoder_vectors", argc, argv, lockstep::Run);
}
