// The marks are kept as the ends of runs, not as one flag a byte: a prompt of a megabyte has a few
// dozen runs, since only where the author changes does a new one begin.
#include "core/base/trusted_text.h"

#include <algorithm>
#include <utility>

namespace lockstep {

TrustedText::TrustedText(std::string bytes, bool trusted) : bytes_(std::move(bytes)) {
  if (!bytes_.empty()) runs_.push_back({bytes_.size(), trusted});
}

bool TrustedText::AllTrusted() const {
  return std::all_of(runs_.begin(), runs_.end(), [](const Run& run) { return run.trusted; });
}

size_t TrustedText::RunAt(size_t byte) const {
  const auto ends_after = [](size_t at, const Run& run) { return at < run.end; };
  const auto run = std::upper_bound(runs_.begin(), runs_.end(), byte, ends_after);
  return static_cast<size_t>(run - runs_.begin());
}

bool TrustedText::TrustedAt(size_t byte) const { return runs_[RunAt(byte)].trusted; }

void TrustedText::Append(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().trusted == trusted) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), trusted});
  }
}

void TrustedText::AppendSlice(const TrustedText& text, size_t begin, size_t end) {
  for (size_t run = text.RunAt(begin); begin < end; ++run) {
    const size_t part = std::min(text.runs_[run].end, end);
    Append(std::string_view(text.bytes_).substr(begin, part - begin), text.runs_[run].trusted);
    begin = part;
  }
}

TrustedText TrustedText::Slice(size_t begin, size_t end) const {
  TrustedText out;
  out.AppendSlice(*this, begin, end);
  return out;
}

}  // namespace lockstep
