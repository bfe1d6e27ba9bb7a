#include "core/model/model.h"

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <utility>

#include "core/base/mutex.h"
#include "core/gguf/gguf_parts.h"
#include "core/gguf/mapped_file.h"
#include "core/model/fingerprint.h"
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

struct SetOnReturn {
  std::atomic<bool>& flag;
  ~SetOnReturn() { flag = true; }
};

// The bytes are hashed beside the repacking.
Result<std::unique_ptr<Model>> Load(const GgufFile& file, std::span<const FilePart> parts,
                                    const KernelTable& kernels, ThreadPool& pool,
                                    const LoadProgress& report) {
  TRY(auto config, ReadModelConfig(file));

  Progress progress(report, file.size() + TensorBytes(file));
  std::atomic<bool> stop{false};
  // Without a policy it falls back to this thread, in get(), where no other can be had.
  auto hashed = std::async([&] {
    return Fingerprint(
        file.name(), parts, [&](size_t bytes) { progress.Add(bytes); }, stop);
  });
  const SetOnReturn stop_hashing{stop};  // the future's destructor waits for the thread

  TRY(auto tokenizer, Tokenizer::Create(file));
  TRY(auto weights, LoadWeights(file, config, pool, [&](const GgufTensor& tensor) {
        const MappedFile* mapped = parts[tensor.part].file;
        if (mapped != nullptr) mapped->DropPages(tensor.offset, tensor.data.size());
        progress.Add(tensor.data.size());
      }));
  TRY(auto fingerprint, hashed.get());
  TRY(const auto chat_template, file.GetString("tokenizer.chat_template"));
  std::string name = config.name;
  std::vector<std::string> warnings = file.warnings();
  if (std::string warning = tokenizer.warning(); !warning.empty()) {
    warnings.push_back(std::move(warning));
  }
  return std::unique_ptr<Model>(
      new Model{std::move(name), file.name(), std::move(fingerprint), std::move(tokenizer),
                Transformer(std::move(config), std::move(weights), kernels), std::move(warnings),
                std::string(chat_template.value_or(""))});
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

Result<std::unique_ptr<Model>> LoadModel(std::span<const uint8_t> bytes, const std::string& source,
                                         const KernelTable& kernels, ThreadPool& pool,
                                         const LoadProgress& progress) {
  return WithoutThrowing(source, [&]() -> Result<std::unique_ptr<Model>> {
    TRY(const auto file, GgufFile::Parse(bytes, source));
    const FilePart part{bytes};
    return Load(file, {&part, 1}, kernels, pool, progress);
  });
}

Result<std::unique_ptr<Model>> LoadModel(const std::string& path, const KernelTable& kernels,
                                         ThreadPool& pool, const LoadProgress& progress) {
  if (path.empty()) return LoadModel(EmbeddedModel(), "embedded", kernels, pool, progress);
  return WithoutThrowing(path, [&]() -> Result<std::unique_ptr<Model>> {
    TRY(const auto opened, GgufParts::Open(path));
    std::vector<FilePart> parts;
    for (const MappedFile& mapped : opened.parts()) parts.push_back({mapped.bytes(), &mapped});
    return Load(opened.file(), parts, kernels, pool, progress);
  });
}

Status CheckModel(const GgufFile& file, const TensorDone& done) {
  return WithoutThrowing(file.name(), [&]() -> Status {
    TRY(const auto config, ReadModelConfig(file));
    TRY(const auto tokenizer, Tokenizer::Create(file));
    return CheckWeights(file, config, done);
  });
}

}  // namespace lockstep
