// utf8proc normalizes; what is ours is to keep it linear and harmless. It sees valid text only, and
// a row of combining marks in pieces of a bounded size, since it sorts them by insertion.
#include "core/tokenizer/normal_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/base/utf8.h"

namespace lockstep {
namespace {

// utf8proc sorts marks by insertion; no language needs as many (Unicode's stream-safe form: 30).
constexpr size_t kMostMarks = 64;

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char byte) { return static_cast<uint8_t>(byte) < 0x80; });
}

bool IsMark(std::string_view character) {
  utf8proc_int32_t code_point = 0;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(character.data()),
                   static_cast<utf8proc_ssize_t>(character.size()), &code_point);
  return utf8proc_get_property(code_point)->combining_class != 0;
}

// form: UTF8PROC_COMPOSE or UTF8PROC_DECOMPOSE.
void AppendNormal(std::string_view valid, utf8proc_option_t form, std::string* out) {
  utf8proc_uint8_t* normal = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()),
                   static_cast<utf8proc_ssize_t>(valid.size()), &normal,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(normal, std::free);
  if (size < 0) {
    *out += valid;  // no memory: text that is not normalized is better than none
  } else {
    out->append(reinterpret_cast<const char*>(normal), static_cast<size_t>(size));
  }
}

std::string Normalize(std::string_view text, utf8proc_option_t form) {
  if (IsAscii(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  size_t begin = 0, end = 0, marks = 0;  // the part of `text` that comes next
  while (end < text.size()) {
    const Utf8Scan scan = ScanUtf8(text.substr(end));
    const std::string_view character = text.substr(end, scan.length);
    const bool valid = scan.kind == Utf8Scan::Kind::kCharacter;
    marks = valid && IsMark(character) ? marks + 1 : 0;
    if (!valid || marks > kMostMarks) {
      AppendNormal(text.substr(begin, end - begin), form, &out);
      begin = end;
      marks = 0;
    }
    end += scan.length;
    if (!valid) {
      out += character;
      begin = end;
    }
  }
  AppendNormal(text.substr(begin), form, &out);
  return out;
}

}  // namespace

std::string ComposeUtf8(std::string_view text) { return Normalize(text, UTF8PROC_COMPOSE); }
std::string DecomposeUtf8(std::string_view text) { return Normalize(text, UTF8PROC_DECOMPOSE); }

}  // namespace lockstep
