// A GGUF file on disk with all its parts: a large model may come as NAME-00001-of-00003.gguf and so
// on, which are mapped together and read as one file. Movable; unmaps when destroyed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/gguf/gguf_file.h"
#include "core/gguf/mapped_file.h"

namespace lockstep {

class GgufParts {
 public:
  // `path` is the file's, or its first part's. Errors are kBadFile: those of MappedFile and
  // GgufFile, a part that is missing, of another model or named first.
  [[nodiscard]] static Result<GgufParts> Open(const std::string& path);

  // Reads bytes of one whole file, which must outlive it; `name` names them in errors.
  [[nodiscard]] static Result<GgufParts> Parse(std::span<const uint8_t> bytes, std::string name);

  const GgufFile& file() const { return *file_; }
  const std::vector<MappedFile>& parts() const { return parts_; }  // none if it is bytes
  // Tells the system that this process is done with the tensor's bytes.
  void DropPages(const GgufTensor& tensor) const {
    if (!parts_.empty()) parts_[tensor.part].DropPages(tensor.offset, tensor.data.size());
  }

 private:
  GgufParts() = default;
  // Opens part `number`, which counts from 0, of `count` and appends its tensors to file_.
  Status Add(const std::string& path, size_t number, size_t count);

  std::vector<MappedFile> parts_;   // in order
  std::unique_ptr<GgufFile> file_;  // refers to the bytes of parts_, or to those of the caller
};

}  // namespace lockstep
