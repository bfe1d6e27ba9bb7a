// What a model is asked for by: user/repo[:quantization] of a hub, or a file's address. And which
// of a repository's files that means. Values; stateless.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

struct ModelName {
  std::string repo;  // "user/repo"; empty: `address` says it all
  std::string
      quant;  // "Q4_K_M", or a file's name that ends in .gguf, or empty: ChooseModel's choice
  std::string revision = "main";
  std::string address;  // of a file that is on no hub

  std::string Text() const;  // as it can be given again
};

// "hf://user/repo" and addresses: what --model takes beside paths.
bool IsModelName(std::string_view text);

// "user/repo", "user/repo:Q4_K_M", "user/repo:FILE.gguf", the same behind hf:// or hf.co/, or an
// address. One of a hub's file, be it huggingface.co's or `endpoint`'s, is the name of that file.
// kInvalidArgument with a sentence for what is neither.
[[nodiscard]] Result<ModelName> ParseModelName(std::string_view text, std::string_view endpoint);

// A file may be one of several parts, NAME-00001-of-00003.gguf.
struct PartName {
  std::string prefix;  // of all parts the same; the whole name if there is but one
  size_t index = 1, count = 1;
};
PartName ReadPartName(std::string_view file);
// The name of another part: those of REQUIRES: part.count > 1.
std::string NameOfPart(const PartName& part, size_t index);

// "Q4_K_M" of "Qwen3-4B-Q4_K_M.gguf"; empty where the name does not say it.
std::string QuantOf(std::string_view file);

// Whether it is a GGUF file of a model, and not of a projector or of other things beside one.
bool IsModelFile(std::string_view file);

// A name from outside that stays in the folder that it is put into: relative, without "..", control
// characters or backslashes.
bool IsSafePath(std::string_view path);

// The file that `quant` means, or its parts in order: Q4_K_M, else Q8_0, else the first if `quant`
// is empty. kNotFound with what there is instead.
[[nodiscard]] Result<std::vector<std::string>> ChooseModel(std::span<const std::string> files,
                                                           const std::string& quant);

}  // namespace lockstep
