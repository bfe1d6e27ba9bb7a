// What a terminal can show is asked of the environment each time: that is seldom, and costs nothing
// beside writing.
#include "server/app/terminal_style.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "core/base/quoted.h"
#include "core/base/utf8.h"

namespace lockstep {
namespace {

constexpr uint32_t kPictures = 0x2400, kPictureOfDelete = 0x2421;

std::string_view Environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): see the header
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

bool TakesSequences(int descriptor) {
  const std::string_view kind = Environment("TERM");
  return isatty(descriptor) == 1 && !kind.empty() && kind != "dumb";
}

bool TakesStyles(int descriptor) {
  return TakesSequences(descriptor) && Environment("NO_COLOR").empty();
}

std::string ForTerminal(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const Utf8Scan scan = ScanUtf8(text);
    const std::string_view character = text.substr(0, scan.length);
    text.remove_prefix(character.size());
    const bool whole = scan.kind == Utf8Scan::Kind::kCharacter;
    if (whole && (character == "\n" || character == "\t" || !IsControlCharacter(character))) {
      shown += character;
    } else if (!whole || character.size() > 1) {  // 0x9B alone is CSI to a terminal of 8 bits
      shown += kReplacementCharacter;
    } else if (character != "\r" || !text.starts_with('\n')) {
      AppendUtf8(character == "\x7F" ? kPictureOfDelete : kPictures + character[0], &shown);
    }
  }
  return shown;
}

}  // namespace lockstep
