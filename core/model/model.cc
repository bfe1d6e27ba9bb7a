// Two readers go over the file at once: one thread hashes it with plain reads, the pool repacks the
// mapped tensors and drops their pages. So a model costs one pass of the disk and, at its peak,
// little more memory than its weights.
#include "core/model/model.h"

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "core/base/mutex.h"
#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/gguf/mapped_file.h"
#include "core/model/fingerprint.h"
#include "core/transformer/model_config.h"
#include "core/transformer/weights.h"

// core/model/embedded/embed.S
extern "C" const uint8_t lockstep_embedded_model[], lockstep_embedded_model_end[];

namespace lockstep {
namespace {

// Adds up what the two readers of the file have done.
class Progress {
 public:
  Progress(const LoadProgress& report, size_t total) : report_(report), total_(total) {}
  // REQUIRES: nothing was added yet.
  void Expect(size_t bytes) { total_ += bytes; }
  void Add(size_t bytes) {
    if (!report_) return;
    const MutexLock lock(mutex_);
    done_ += bytes;
    report_(done_, total_);
  }

 private:
  const LoadProgress& report_;
  size_t total_;
  Mutex mutex_;
  size_t done_ GUARDED_BY(mutex_) = 0;
};

size_t TensorBytes(const GgufFile& file) {
  size_t total = 0;
  for (const GgufTensor& tensor : file.tensors()) total += tensor.data.size();
  return total;
}

std::vector<FilePart> FilePartsOf(const GgufParts& opened) {
  if (opened.parts().empty()) return {{opened.file().bytes()}};
  std::vector<FilePart> parts;
  for (const MappedFile& mapped : opened.parts()) parts.push_back({mapped.bytes(), &mapped});
  return parts;
}

// What the file system says of each part. None where one is no file, or it says nothing.
std::vector<FileState> StatesOf(const GgufParts& opened) {
  std::vector<FileState> states;
  for (const MappedFile& mapped : opened.parts()) {
    const auto state = mapped.State();
    if (!state) return {};
    states.push_back(*state);
  }
  return states;
}

// The digest of the file, as it was kept, or made by a thread of its own beside whoever holds this.
class FileDigest {
 public:
  // `kept` may be null.
  FileDigest(const GgufParts& opened, const DigestCache* kept, Progress& progress)
      : opened_(opened), kept_(kept), states_(StatesOf(opened)) {
    if (kept_ != nullptr) known_ = kept_->Find(opened.file().name(), states_);
    if (known_) return;
    progress.Expect(opened.file().size());
    // Without a policy it falls back to the thread that gets it, where no other can be had.
    hashed_ = std::async([this, &progress] {
      return Sha256(
          opened_.file().name(), parts_, [&](size_t bytes) { progress.Add(bytes); }, stop_);
    });
  }
  ~FileDigest() { stop_ = true; }  // the future waits for its thread
  FileDigest(const FileDigest&) = delete;
  FileDigest& operator=(const FileDigest&) = delete;

  Result<std::string> Get() {
    if (known_) return *known_;
    TRY(std::string sha256, hashed_.get());
    if (kept_ != nullptr && StatesOf(opened_) == states_) {
      kept_->Keep(opened_.file().name(), states_, sha256);
    }
    return sha256;
  }

 private:
  const GgufParts& opened_;
  const DigestCache* const kept_;
  const std::vector<FileState> states_;
  const std::vector<FilePart> parts_ = FilePartsOf(opened_);
  std::optional<std::string> known_;
  std::atomic<bool> stop_{false};
  std::future<Result<std::string>> hashed_;  // uses those above
};

constexpr size_t kMaxChatTemplate = 64 * 1024;  // bytes; published ones have up to 20 KB
// Names of further templates, and bytes of one; published files have up to three.
constexpr size_t kMaxTemplates = 16, kMaxTemplateName = 64;

// Empty if the file has none. The one place that limits it: to parse it is left to whoever chats.
Result<std::string> ReadChatTemplate(const GgufFile& file, const std::string& key) {
  TRY(const auto text, file.GetString(key));
  if (text && text->size() > kMaxChatTemplate) {
    return file.Fail(fmt::format("{} has {} bytes: at most {} are allowed", key, text->size(),
                                 kMaxChatTemplate));
  }
  return std::string(text.value_or(""));
}

// The file lists their names, or should; the one that matters most is looked for in any case.
Result<std::map<std::string, std::string>> ReadNamedChatTemplates(const GgufFile& file) {
  TRY(const auto* const listed, file.GetStrings("tokenizer.chat_templates"));
  std::vector<std::string> names = {"tool_use"};
  if (listed != nullptr) names.insert(names.end(), listed->begin(), listed->end());
  if (names.size() > kMaxTemplates) {
    return file.Fail(fmt::format("tokenizer.chat_templates has {} names: at most {} are allowed",
                                 listed->size(), kMaxTemplates - 1));
  }
  std::map<std::string, std::string> templates;
  for (const std::string& name : names) {
    if (name.size() > kMaxTemplateName || !IsUtf8(name)) {
      return file.Fail(fmt::format(
          "tokenizer.chat_templates has the name {}: at most {} bytes of UTF-8 are allowed",
          Quoted(name), kMaxTemplateName));
    }
    TRY(std::string text, ReadChatTemplate(file, "tokenizer.chat_template." + name));
    if (!text.empty()) templates.emplace(name, std::move(text));
  }
  return templates;
}

// The containers throw when memory runs out; no exception leaves this file.
template <class Fn>
auto WithoutThrowing(const std::string& source, const Fn& fn) -> decltype(fn()) {
  try {
    return fn();
  } catch (const std::bad_alloc&) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("{}: memory does not suffice for this file", source));
  }
}

}  // namespace

std::span<const uint8_t> EmbeddedModel() {
  return {lockstep_embedded_model, lockstep_embedded_model_end};
}

ModelFile::ModelFile(GgufParts parts, ModelConfig config, std::string chat_template,
                     std::map<std::string, std::string> named_chat_templates)
    : parts_(std::move(parts)),
      config_(std::move(config)),
      chat_template_(std::move(chat_template)),
      named_chat_templates_(std::move(named_chat_templates)) {}

Result<ModelFile> ModelFile::Create(GgufParts parts) {
  return WithoutThrowing(parts.file().name(), [&]() -> Result<ModelFile> {
    TRY(ModelConfig config, ReadModelConfig(parts.file()));
    TRY(std::string chat_template, ReadChatTemplate(parts.file(), "tokenizer.chat_template"));
    TRY(auto named_chat_templates, ReadNamedChatTemplates(parts.file()));
    return ModelFile(std::move(parts), std::move(config), std::move(chat_template),
                     std::move(named_chat_templates));
  });
}

Result<ModelFile> ModelFile::Parse(std::span<const uint8_t> bytes, const std::string& source) {
  return WithoutThrowing(source, [&] { return GgufParts::Parse(bytes, source).and_then(Create); });
}

Result<ModelFile> ModelFile::Open(const std::string& path) {
  if (path.empty()) return Parse(EmbeddedModel(), "embedded");
  return WithoutThrowing(path, [&] { return GgufParts::Open(path).and_then(Create); });
}

Result<Tokenizer> ModelFile::ReadTokenizer() const {
  return WithoutThrowing(parts_.file().name(), [&] { return Tokenizer::Create(parts_.file()); });
}

Status ModelFile::Check() const {
  const GgufFile& file = parts_.file();
  return WithoutThrowing(file.name(), [&]() -> Status {
    TRY_OK(Tokenizer::Create(file));
    return CheckWeights(file, config_, [&](const GgufTensor& tensor) { parts_.DropPages(tensor); });
  });
}

// The bytes are hashed beside the repacking, where their digest is not known from an earlier start.
Result<std::unique_ptr<const Model>> ModelFile::Load(const KernelTable& kernels, ThreadPool& pool,
                                                     const LoadOptions& options) && {
  ModelFile open = std::move(*this);  // closed on return
  const GgufFile& file = open.parts_.file();
  return WithoutThrowing(file.name(), [&]() -> Result<std::unique_ptr<const Model>> {
    Progress progress(options.progress, TensorBytes(file));
    FileDigest digest(open.parts_, options.digests, progress);

    TRY(Tokenizer tokenizer, Tokenizer::Create(file));
    const TensorDone done = [&](const GgufTensor& tensor) {
      open.parts_.DropPages(tensor);
      progress.Add(tensor.data.size());
    };
    TRY(Weights weights, LoadWeights(file, open.config_, pool, done));
    std::vector<std::string> warnings = file.warnings();
    std::unique_ptr<const Transformer> ahead;
    if (auto config = options.mtp ? MtpConfig(open.config_) : std::nullopt) {
      auto block = LoadMtpWeights(file, *config, open.config_.layers.size(), weights, pool, done);
      if (block) {
        ahead = std::make_unique<const Transformer>(*std::move(config), *std::move(block), kernels);
      } else {
        warnings.push_back("the block that guesses ahead (MTP) is not used: " +
                           block.error().message);
      }
    }
    ModelCard card = MakeModelCard(file, open.config_);
    TRY(card.sha256, digest.Get());
    std::string name = open.config_.name;
    const ModelCost cost = open.cost();
    if (std::string warning = tokenizer.warning(); !warning.empty()) {
      warnings.push_back(std::move(warning));
    }
    return std::unique_ptr<const Model>(
        new Model{std::move(name), file.name(), Fingerprint(card.sha256), std::move(tokenizer),
                  Transformer(std::move(open.config_), std::move(weights), kernels),
                  std::move(warnings), std::move(open.chat_template_),
                  std::move(open.named_chat_templates_), std::move(card), cost, std::move(ahead)});
  });
}

Result<std::unique_ptr<const Model>> LoadModel(std::span<const uint8_t> bytes,
                                               const std::string& source,
                                               const KernelTable& kernels, ThreadPool& pool,
                                               const LoadProgress& progress) {
  TRY(ModelFile file, ModelFile::Parse(bytes, source));
  return std::move(file).Load(kernels, pool, {.progress = progress});
}

Result<std::unique_ptr<const Model>> LoadModel(const std::string& path, const KernelTable& kernels,
                                               ThreadPool& pool, const LoadProgress& progress) {
  TRY(ModelFile file, ModelFile::Open(path));
  return std::move(file).Load(kernels, pool, {.progress = progress});
}

}  // namespace lockstep
