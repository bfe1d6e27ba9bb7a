#include "core/model.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <new>
#include <utility>

#include "core/mapped_file.h"
#include "core/weights.h"

// core/models/embed.S
extern "C" const uint8_t lockstep_embedded_model[], lockstep_embedded_model_end[];

namespace lockstep {
namespace {

constexpr size_t kHashChunk = 16 << 20;  // bytes between two releases of a file's pages

// Called with the offset and size of what will not be read again soon.
using Release = std::function<void(size_t offset, size_t size)>;

Result<std::string> Fingerprint(std::span<const uint8_t> bytes, const Release& release) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  uint8_t digest[EVP_MAX_MD_SIZE];
  bool ok = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for (size_t at = 0; ok && at < bytes.size(); at += kHashChunk) {
    const size_t size = std::min(kHashChunk, bytes.size() - at);
    ok = EVP_DigestUpdate(context.get(), bytes.data() + at, size) == 1;
    if (release) release(at, size);
  }
  if (!ok || EVP_DigestFinal_ex(context.get(), digest, nullptr) != 1) {
    return Fail(ErrorKind::kInternal, "OpenSSL cannot compute SHA-256");
  }
  return fmt::format("ls{}-{:02x}", kNumericsVersion, fmt::join(digest, digest + 8, ""));
}

TensorDone ReleaseTensor(const Release& release) {
  if (!release) return {};
  return [&release](const GgufTensor& tensor) { release(tensor.offset, tensor.data.size()); };
}

Result<std::unique_ptr<Model>> Load(std::span<const uint8_t> bytes, const std::string& source,
                                    const KernelTable& kernels, ThreadPool& pool,
                                    const Release& release) {
  auto file = GgufFile::Parse(bytes, source);
  if (!file) return tl::unexpected(file.error());
  auto config = ReadModelConfig(*file);
  if (!config) return tl::unexpected(config.error());
  auto tokenizer = Tokenizer::Create(*file);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  auto weights = LoadWeights(*file, *config, pool, ReleaseTensor(release));
  if (!weights) return tl::unexpected(weights.error());
  auto fingerprint = Fingerprint(bytes, release);
  if (!fingerprint) return tl::unexpected(fingerprint.error());
  std::string name = config->name;
  return std::unique_ptr<Model>(
      new Model{std::move(name), source, *std::move(fingerprint), *std::move(tokenizer),
                Transformer(*std::move(config), *std::move(weights), kernels), file->warnings()});
}

// The containers throw when memory runs out; no exception leaves this file.
template <class Fn>
auto WithoutThrowing(const std::string& source, size_t size, const Fn& fn) -> decltype(fn()) {
  try {
    return fn();
  } catch (const std::bad_alloc&) {
    return Fail(ErrorKind::kUnavailable,
                fmt::format("{}: memory does not suffice for a file of {} bytes", source, size));
  }
}

}  // namespace

std::span<const uint8_t> EmbeddedModel() {
  return {lockstep_embedded_model, lockstep_embedded_model_end};
}

Result<std::unique_ptr<Model>> LoadModel(std::span<const uint8_t> bytes, const std::string& source,
                                         const KernelTable& kernels, ThreadPool& pool) {
  return WithoutThrowing(source, bytes.size(),
                         [&] { return Load(bytes, source, kernels, pool, {}); });
}

Result<std::unique_ptr<Model>> LoadModel(const std::string& path, const KernelTable& kernels,
                                         ThreadPool& pool) {
  if (path.empty()) return LoadModel(EmbeddedModel(), "embedded", kernels, pool);
  const auto mapped = MappedFile::Open(path);
  if (!mapped) return tl::unexpected(mapped.error());
  const Release drop = [&](size_t offset, size_t size) { mapped->DropPages(offset, size); };
  return WithoutThrowing(path, mapped->bytes().size(),
                         [&] { return Load(mapped->bytes(), path, kernels, pool, drop); });
}

Status CheckModel(const GgufFile& file, const TensorDone& done) {
  return WithoutThrowing(file.name(), file.bytes().size(), [&]() -> Status {
    const auto config = ReadModelConfig(file);
    if (!config) return tl::unexpected(config.error());
    const auto tokenizer = Tokenizer::Create(file);
    if (!tokenizer) return tl::unexpected(tokenizer.error());
    return CheckWeights(file, *config, done);
  });
}

}  // namespace lockstep
