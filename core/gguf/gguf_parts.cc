// Each part is a GGUF file of its own, with its own header and some of the tensors; only the first
// has the model's metadata. So the parts are parsed alone and their tables of tensors joined.
#include "core/gguf/gguf_parts.h"

#include <fmt/format.h>

#include <utility>

namespace lockstep {
namespace {

constexpr uint64_t kMaxParts = 1000;  // each takes a file descriptor

// "-00001-of-00003.gguf" for number 1 of 3: llama.cpp's llama-gguf-split names parts so. The names
// count from 1, the key split.no from 0.
std::string Suffix(size_t number, size_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", number, count);
}

// A number of the metadata, `absent` if it is not there.
Result<uint64_t> Number(const GgufFile& file, std::string_view key, uint64_t absent) {
  TRY(const auto value, file.GetU64(key));
  return value.value_or(absent);
}

}  // namespace

Result<GgufParts> GgufParts::Parse(std::span<const uint8_t> bytes, std::string name) {
  GgufParts all;
  TRY(GgufFile file, GgufFile::Parse(bytes, std::move(name)));
  // It is on the heap, so that references to it stay good when GgufParts moves.
  all.file_ = std::make_unique<GgufFile>(std::move(file));
  return all;
}

Result<GgufParts> GgufParts::Open(const std::string& path) {
  TRY(MappedFile first, MappedFile::Open(path));
  TRY(GgufParts all, Parse(first.bytes(), path));
  // A mapping keeps its address when it moves, and so the parsed views stay good.
  all.parts_.push_back(std::move(first));
  const GgufFile& file = *all.file_;

  // Without split.count, or with 1, the file is whole.
  TRY(const auto count, Number(file, "split.count", 1));
  if (count <= 1) return all;
  if (count > kMaxParts) {
    return file.Fail(
        fmt::format("split.count is {}, but at most {} parts are read: join some of "
                    "them, as with llama-gguf-split --merge",
                    count, kMaxParts));
  }
  TRY(const auto number, Number(file, "split.no", 0));
  if (number != 0) {
    return file.Fail(
        fmt::format("this is part {} of {}: give the path of the first, which ends in {}",
                    number + 1, count, Suffix(1, count)));
  }
  const std::string suffix = Suffix(1, count);
  if (!path.ends_with(suffix)) {
    return file.Fail(
        fmt::format("split.count is {}, but the name does not end in {}, by which the other parts "
                    "are found: name all parts so, or join them, as with llama-gguf-split --merge",
                    count, suffix));
  }
  const std::string stem = path.substr(0, path.size() - suffix.size());
  for (size_t i = 1; i < count; ++i) {
    TRY_OK(all.Add(stem + Suffix(i + 1, count), i, count));
  }
  // The first part says how many tensors all parts have together, which shows a part of another
  // split that has the same name.
  TRY(const auto tensors, Number(file, "split.tensors.count", file.tensors().size()));
  if (tensors != file.tensors().size()) {
    return file.Fail(
        fmt::format("split.tensors.count is {}, but the {} parts have {} tensors: fetch "
                    "all parts again, from one place",
                    tensors, count, file.tensors().size()));
  }
  return all;
}

Status GgufParts::Add(const std::string& path, size_t number, size_t count) {
  auto mapped = MappedFile::Open(path);
  if (!mapped) {
    return file_->Fail(
        fmt::format("part {} of {} is missing: {}", number + 1, count, mapped.error().message));
  }
  TRY(auto part, GgufFile::Parse(mapped->bytes(), path));
  // A renamed part passes by its name, but not by what it says of itself.
  for (const auto& [key, wanted] :
       {std::pair("split.count", count), std::pair("split.no", number)}) {
    TRY(const auto value, Number(part, key, 0));
    if (value != wanted) {
      return part.Fail(fmt::format("{} is {}, but the name says {}: it is no part of {}", key,
                                   value, wanted, file_->name()));
    }
  }
  TRY_OK(file_->Append(std::move(part)));
  parts_.push_back(*std::move(mapped));
  return {};
}

}  // namespace lockstep
