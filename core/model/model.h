// A model: its file, open and checked, and what becomes of it, loaded: configuration, tokenizer,
// transformer and the fingerprint of the numeric contract.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_parts.h"
#include "core/kernels/thread_pool.h"
#include "core/model/digest_cache.h"
#include "core/model/fingerprint.h"
#include "core/model/model_card.h"
#include "core/model/model_cost.h"
#include "core/tokenizer/tokenizer.h"
#include "core/transformer/transformer.h"

namespace lockstep {

// Immutable and shared.
struct Model {
  std::string name;         // general.name
  std::string source;       // path, or "embedded"
  std::string fingerprint;  // "ls<numerics version>-" and 16 hex digits of the files' SHA-256
  Tokenizer tokenizer;
  Transformer transformer;
  std::vector<std::string> warnings;  // about the file, for the log
  std::string chat_template;          // tokenizer.chat_template; empty if the file has none
  std::map<std::string, std::string> named_chat_templates;  // tokenizer.chat_template.NAME, by name
  ModelCard card;
  ModelCost cost;
  // The block of the file that guesses ahead (MtpConfig), where it was asked for and is whole.
  std::unique_ptr<const Transformer> mtp = {};
  const ModelConfig& config() const { return transformer.config(); }
};

// The default model that is part of the binary, as GGUF bytes.
std::span<const uint8_t> EmbeddedModel();

// Bytes read so far, and in all; the file counts for its hash and for its tensors. Called by one
// thread at a time, not always the same, more often than a person would want to be told.
using LoadProgress = std::function<void(size_t done, size_t total)>;

struct LoadOptions {
  LoadProgress progress = {};
  // With the block that guesses ahead; if something of it is missing or wrong, the warnings say so.
  bool mtp = false;
  const DigestCache* digests = nullptr;  // may be null: then the file is hashed
};

// A model's file, open and checked: enough to plan memory with. It keeps the file mapped until it
// is loaded or destroyed, so that what is planned for is what is loaded. Not thread-safe. Errors
// are kBadFile and start with the file's name, or kUnavailable if memory does not suffice.
class ModelFile {
 public:
  // An empty `path` is the embedded model; for a split file, it is that of the first part.
  [[nodiscard]] static Result<ModelFile> Open(const std::string& path);
  // Reads a whole file's bytes, which must outlive it; `source` names them in messages.
  [[nodiscard]] static Result<ModelFile> Parse(std::span<const uint8_t> bytes,
                                               const std::string& source);
  [[nodiscard]] static Result<ModelFile> Create(GgufParts parts);

  const ModelConfig& config() const { return config_; }
  size_t bytes() const { return parts_.file().size(); }  // the weights take as much when loaded
  ModelCost cost() const { return {parts_.file(), config_}; }

  // Load's, without the weights.
  [[nodiscard]] Result<Tokenizer> ReadTokenizer() const;
  // Whether Load would succeed. Reads all of the file, keeps nothing.
  [[nodiscard]] Status Check() const;
  // Repacks the weights and hashes the file. The file is closed when it returns.
  [[nodiscard]] Result<std::unique_ptr<const Model>> Load(const KernelTable& kernels,
                                                          ThreadPool& pool,
                                                          const LoadOptions& options = {}) &&;

 private:
  ModelFile(GgufParts parts, ModelConfig config, std::string chat_template,
            std::map<std::string, std::string> named_chat_templates);

  GgufParts parts_;
  ModelConfig config_;
  std::string chat_template_;
  std::map<std::string, std::string> named_chat_templates_;
};

// Opens and loads at once, for whoever plans nothing. The bytes may go after the call.
[[nodiscard]] Result<std::unique_ptr<const Model>> LoadModel(const std::string& path,
                                                             const KernelTable& kernels,
                                                             ThreadPool& pool,
                                                             const LoadProgress& progress = {});
[[nodiscard]] Result<std::unique_ptr<const Model>> LoadModel(std::span<const uint8_t> bytes,
                                                             const std::string& source,
                                                             const KernelTable& kernels,
                                                             ThreadPool& pool,
                                                             const LoadProgress& progress = {});

}  // namespace lockstep
