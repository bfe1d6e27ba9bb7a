// Where references lead: JSON pointers (RFC 6901) in the fragments of URIs.
#include <algorithm>
#include <charconv>
#include <utility>

#include "server/schema/schema_merge.h"

namespace lockstep {
namespace {

// A part of a pointer: ~1 is a slash, ~0 a tilde, %HH a
// byte. ~1 comes first, so that ~01 is the text ~1 and no slash.
std::string Unescape(std::string_view part) {
  std::string out;
  for (size_t i = 0; i < part.size(); ++i) {
    const std::string_view rest = part.substr(i);
    unsigned byte = 0;
    if (rest.size() >= 3 && rest[0] == '%' &&
        std::from_chars(rest.data() + 1, rest.data() + 3, byte, 16).ptr == rest.data() + 3) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += rest[0];
    }
  }
  for (const auto& [escape, character] : {std::pair("~1", "/"), std::pair("~0", "~")}) {
    for (size_t at = 0; (at = out.find(escape, at)) != out.npos; ++at) {
      out.replace(at, 2, character);
    }
  }
  return out;
}

}  // namespace

std::string ChildPointer(const std::string& path, std::string_view child) {
  std::string out = path + "/";
  for (const char c : child) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

// Anchors, and references to other documents, are not looked up: a server that loads what its
// clients name could be sent anywhere.
const Json* FindReference(const Json& root, std::string_view reference) {
  if (!reference.starts_with('#')) return nullptr;
  reference.remove_prefix(1);
  const Json* at = &root;
  while (!reference.empty()) {
    if (reference[0] != '/') return nullptr;
    const size_t end = std::min(reference.find('/', 1), reference.size());
    const std::string part = Unescape(reference.substr(1, end - 1));
    reference.remove_prefix(end);
    if (at->is_object()) {
      const auto found = at->find(part);
      if (found == at->end()) return nullptr;
      at = &*found;
    } else if (at->is_array()) {
      size_t index = 0;
      const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      if (error != std::errc() || last != part.data() + part.size() || index >= at->size()) {
        return nullptr;
      }
      at = &(*at)[index];
    } else {
      return nullptr;
    }
  }
  return at;
}

}  // namespace lockstep
