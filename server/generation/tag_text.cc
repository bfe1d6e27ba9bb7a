// Two renderings differ by what a template was given, but a difference may begin in the middle of a
// tag whose beginning both have: "<|START_" of "<|START_ACTION|>" and "<|START_RESPONSE|>".
#include "server/generation/tag_text.h"

#include <algorithm>

#include "server/generation/call_form.h"

namespace lockstep {

size_t CommonPrefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}
size_t CommonSuffix(std::string_view a, std::string_view b) {
  size_t size = 0;
  while (size < a.size() && size < b.size() && a[a.size() - 1 - size] == b[b.size() - 1 - size]) {
    ++size;
  }
  return size;
}
std::string_view RightTrimmed(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kTemplateSpace) + 1);
}
std::string_view LeftTrimmed(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kTemplateSpace), text.size()));
}

size_t NaturalSuffix(std::string_view a, std::string_view b) {
  const size_t size = CommonSuffix(a, b);
  const size_t begin = a.substr(a.size() - size).find_first_of("<[{ \n");
  return begin == a.npos ? size : size - begin;
}

size_t CommonBegin(std::string_view a, std::string_view b) {
  const size_t size = CommonPrefix(a, b);
  if (size == 0) return 0;
  const size_t tag = a.find_last_of("<[", size - 1);
  if (tag == a.npos || a.find_first_of(a[tag] == '<' ? ">\n" : "]\n", tag) < size) return size;
  const std::string_view begun = a.substr(tag + 1, size - tag - 1);
  const bool word = std::ranges::all_of(begun, [](char c) {
    return c == '|' || c == '_' || c == '/' || (c & 0x80) != 0 || IsCallNameChar(c);
  });
  return word ? tag : size;
}

std::string_view TagAtBegin(std::string_view text) {
  if (text.empty() || (text[0] != '<' && text[0] != '[')) return {};
  return text.substr(0, std::min(text.find(text[0] == '<' ? '>' : ']'), text.size() - 1) + 1);
}
std::string_view TagAtEnd(std::string_view text) {
  if (text.empty() || (text.back() != '>' && text.back() != ']')) return {};
  const size_t begin = text.rfind(text.back() == '>' ? '<' : '[');
  return begin == text.npos ? std::string_view() : text.substr(begin);
}

}  // namespace lockstep
