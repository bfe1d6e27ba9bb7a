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
  void Add(size_t bytes) {
    if (!report_) return;
    const MutexLock lock(mutex_);
    done_ += bytes;
    report_(done_, total_);
  }

 private:
  const LoadProgress& report_;
  const size_t total_;
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

struct SetOnReturn {
  std::atomic<bool>& flag;
  ~SetOnReturn() { flag = true; }
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

// The bytes are hashed beside the repacking.
Result<std::unique_ptr<const Model>> ModelFile::Load(const KernelTable& kernels, ThreadPool& pool,
                                                     const LoadProgress& report, bool mtp) && {
  ModelFile open = std::move(*this);  // closed on return
  const GgufFile& file = open.parts_.file();
  return WithoutThrowing(file.name(), [&]() -> Result<std::unique_ptr<const Model>> {
    Progress progress(report, file.size() + TensorBytes(file));
    const std::vector<FilePart> parts = FilePartsOf(open.parts_);
    std::atomic<bool> stop{false};
    // Without a policy it falls back to this thread, in get(), where no other can be had.
    auto hashed = std::async([&] {
      return Sha256(
          file.name(), parts, [&](size_t bytes) { progress.Add(bytes); }, stop);
    });
    const SetOnReturn stop_hashing{stop};  // the future's destructor waits for the thread

    TRY(Tokenizer tokenizer, Tokenizer::Create(file));
    const TensorDone done = [&](const GgufTensor& tensor) {
      open.parts_.DropPages(tensor);
      progress.Add(tensor.data.size());
    };
    TRY(Weights weights, LoadWeights(file, open.config_, pool, done));
    std::vector<std::string> warnings = file.warnings();
    std::unique_ptr<const Transformer> ahead;
    if (auto config = mtp ? MtpConfig(open.config_) : std::nullopt) {
      auto block = LoadMtpWeights(file, *config, open.config_.layers.size(), weights, pool, done);
      if (block) {
        ahead = std::make_unique<const Transformer>(*std::move(config), *std::move(block), kernels);
      } else {
        warnings.push_back("the block that guesses ahead (MTP) is not used: " +
                           block.error().message);
      }
    }
    ModelCard card = MakeModelCard(file, open.config_);
    TRY(card.sha256, hashed.get());
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
  return std::move(file).Load(kernels, pool, progress);
}

Result<std::unique_ptr<const Model>> LoadModel(const std::string& path, const KernelTable& kernels,
                                               ThreadPool& pool, const LoadProgress& progress) {
  TRY(ModelFile file, ModelFile::Open(path));
  return std::move(file).Load(kernels, pool, progress);
}

}  // namespace lockstep
