// A text that remembers, byte range by byte range, who wrote it: somebody whom the server trusts,
// such as a chat template, or somebody outside. Only trusted bytes may be read as control tokens.
// It is one type from the template's values to the tokenizer, so that no mark is lost on the way. A
// value: copies are independent, and there are no locks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

class TrustedText {
 public:
  struct Run {
    size_t end;  // of the run, in bytes; it begins where the one before it ends
    bool trusted;
  };

  TrustedText() = default;
  TrustedText(std::string bytes, bool trusted);

  const std::string& bytes() const { return bytes_; }
  // In order; none is empty, and adjacent ones differ.
  const std::vector<Run>& runs() const { return runs_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  bool AllTrusted() const;
  bool TrustedAt(size_t byte) const;  // REQUIRES: byte < size()

  void Append(std::string_view bytes, bool trusted);
  void Append(const TrustedText& text) { AppendSlice(text, 0, text.size()); }
  void AppendSlice(const TrustedText& text, size_t begin, size_t end);
  TrustedText Slice(size_t begin, size_t end) const;

 private:
  size_t RunAt(size_t byte) const;

  std::string bytes_;
  std::vector<Run> runs_;
};

}  // namespace lockstep
