// A string of UTF-8 that remembers, byte range by byte range, whether the template or its input
// wrote it. A value: copies are independent, no locks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::jinja {

class Text {
 public:
  struct Run {
    size_t end;  // of the run, in bytes; it begins where the one before it ends
    bool trusted;
  };

  Text() = default;
  Text(std::string bytes, bool trusted);

  const std::string& bytes() const { return bytes_; }
  const std::vector<Run>& runs() const { return runs_; }  // not empty, adjacent ones differ
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  bool AllTrusted() const;
  bool TrustedAt(size_t byte) const;  // REQUIRES: byte < size()

  void Append(std::string_view bytes, bool trusted);
  void Append(const Text& text) { AppendSlice(text, 0, text.size()); }
  void AppendSlice(const Text& text, size_t begin, size_t end);
  Text Slice(size_t begin, size_t end) const;

 private:
  size_t RunAt(size_t byte) const;

  std::string bytes_;
  std::vector<Run> runs_;
};

}  // namespace lockstep::jinja
