// A path in a directory of its own; all of it is removed when destroyed.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

namespace lockstep {

class TempFile {
 public:
  TempFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  explicit TempFile(std::span<const uint8_t> bytes) : TempFile() { Write(bytes); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/model.gguf"; }
  void Write(std::span<const uint8_t> bytes) const {
    std::ofstream(path(), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }

 private:
  std::string directory_;
};

}  // namespace lockstep
