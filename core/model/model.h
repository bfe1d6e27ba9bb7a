// A loaded model: configuration, tokenizer, transformer and the fingerprint of the numeric
// contract. Immutable and shared.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/kernels/thread_pool.h"
#include "core/model/fingerprint.h"
#include "core/tokenizer/tokenizer.h"
#include "core/transformer/transformer.h"

namespace lockstep {

struct Model {
  std::string name;         // general.name
  std::string source;       // path, or "embedded"
  std::string fingerprint;  // "ls<numerics version>-" and 16 hex digits of the files' SHA-256
  Tokenizer tokenizer;
  Transformer transformer;
  std::vector<std::string> warnings;  // about the file, for the log
  std::string chat_template;          // tokenizer.chat_template; empty if the file has none
  const ModelConfig& config() const { return transformer.config(); }
};

// The default model that is part of the binary, as GGUF bytes.
std::span<const uint8_t> EmbeddedModel();

// Bytes read so far, and in all; the file counts for its hash and for its tensors. Called by one
// thread at a time, not always the same, more often than a person would want to be told.
using LoadProgress = std::function<void(size_t done, size_t total)>;

// `path` empty: the embedded model. Of a split file, it is the first part. Errors are kBadFile and
// start with the file's name, or kUnavailable if memory does not suffice.
[[nodiscard]] Result<std::unique_ptr<Model>> LoadModel(const std::string& path,
                                                       const KernelTable& kernels, ThreadPool& pool,
                                                       const LoadProgress& progress = {});
// The same from bytes, which may go after the call; `source` names them in messages.
[[nodiscard]] Result<std::unique_ptr<Model>> LoadModel(std::span<const uint8_t> bytes,
                                                       const std::string& source,
                                                       const KernelTable& kernels, ThreadPool& pool,
                                                       const LoadProgress& progress = {});

// Whether LoadModel would take the file. Reads all of it, keeps nothing. `done` as in LoadWeights.
[[nodiscard]] Status CheckModel(const GgufFile& file, const TensorDone& done = {});

}  // namespace lockstep
