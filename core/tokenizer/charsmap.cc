// The binary form, all numbers little-endian:
//
//   charsmap := size:u32 node:u32*(size / 4) replacements     replacements := (byte* NUL)*
//
// The nodes are a double array (Kanda, "Space- and time-efficient string dictionaries", 2018). From
// the node at index i, byte c leads to index i ^ offset ^ c, if the node there has the label c:
//
//   bits 0-7 and 31   label; bit 31 is set in leaves, so that no byte equals them
//   bit 8             a text ends here: the leaf at index i ^ offset holds, in bits 0-30, where its
//                     replacement begins
//   bits 9 and 10-30  offset = bits 10-30, shifted left by 8 more if bit 9 is set

#include "core/tokenizer/charsmap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/base/utf8.h"

namespace lockstep {
namespace {

constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";

// What one byte may grow to. NFKC's worst, U+FDFA, is 3 bytes that become 33.
constexpr size_t kMaxGrowth = 16;
constexpr size_t kCheckedDepth = 3;  // bytes of the shortest texts, which grow most

// The fields of a node, as at the top. The array is that of darts-clone, the library by which
// SentencePiece writes the map.
uint32_t Label(uint32_t node) { return node & (1u << 31 | 0xFF); }
bool HasLeaf(uint32_t node) { return (node >> 8 & 1) != 0; }
// Bit 9, moved to bit 3, is a shift of 8 or of 0.
uint32_t Offset(uint32_t node) { return node >> 10 << ((node & 1u << 9) >> 6); }
uint32_t LeafValue(uint32_t node) { return node & ~(1u << 31); }

}  // namespace

Result<Charsmap> Charsmap::Create(const GgufFile& file) {
  TRY(const auto bytes, file.GetBytes(kKey));
  Charsmap map;
  if (!bytes.has_value() || bytes->empty()) return map;
  std::span<const uint8_t> rest = *bytes;
  uint32_t size = 0;
  if (rest.size() > sizeof(size)) {
    std::memcpy(&size, rest.data(), sizeof(size));
    rest = rest.subspan(sizeof(size));
  }
  // The last NUL is what makes every replacement end within the bytes.
  if (size == 0 || size % sizeof(uint32_t) != 0 || size >= rest.size() || rest.back() != 0) {
    return file.Fail(
        fmt::format("{} has {} bytes, of which {} are said to be nodes: it must hold their number, "
                    "4 bytes for each, and then texts that end in NUL",
                    kKey, bytes->size(), size));
  }
  map.nodes_.resize(size / sizeof(uint32_t));
  std::memcpy(map.nodes_.data(), rest.data(), size);
  rest = rest.subspan(size);
  map.replacements_.assign(rest.begin(), rest.end());
  // A replacement may begin inside another, but each ends with the NUL that the last one ends with.
  size_t longest = 0;
  for (size_t begin = 0; begin < map.replacements_.size();) {
    const size_t bytes_here = map.replacements_.find('\0', begin) - begin;
    longest = std::max(longest, bytes_here);
    begin += bytes_here + 1;
  }
  // Texts of at most kCheckedDepth bytes are tried one by one. A longer one has at least
  // kCheckedDepth + 1 bytes, so that no replacement can be too long for it.
  if (longest <= kMaxGrowth * (kCheckedDepth + 1) && map.GrowsLittle(map.Root(), 1)) return map;
  return file.Fail(fmt::format("{} makes text more than {} times as long", kKey, kMaxGrowth));
}

uint32_t Charsmap::Root() const { return Offset(Node(0)); }

// Whether no text of `depth` to kCheckedDepth bytes that begins at `index` grows too much.
bool Charsmap::GrowsLittle(uint32_t index, size_t depth) const {
  for (uint32_t byte = 1; byte < 256; ++byte) {
    const uint32_t node = Node(index ^ byte);
    if (Label(node) != byte) continue;
    const uint32_t next = index ^ byte ^ Offset(node);
    if (HasLeaf(node) && Replacement(Node(next)).size() > kMaxGrowth * depth) return false;
    if (depth < kCheckedDepth && !GrowsLittle(next, depth + 1)) return false;
  }
  return true;
}

// Without data() if the leaf points beyond the replacements.
std::string_view Charsmap::Replacement(uint32_t leaf) const {
  const uint32_t begin = LeafValue(leaf);
  if (begin >= replacements_.size()) return {};
  return replacements_.c_str() + begin;
}

Charsmap::Part Charsmap::Next(std::string_view text) const {
  Part longest{{}, 0};
  uint32_t index = Root();
  // No text of the map holds a NUL, so the walk ends there.
  for (size_t i = 0; i < text.size() && text[i] != '\0' && !nodes_.empty(); ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    index ^= byte;
    const uint32_t node = Node(index);
    if (Label(node) != byte) break;
    index ^= Offset(node);
    if (!HasLeaf(node)) continue;
    // The longest match so far; the walk goes on, as a longer text of the map may begin with this
    // one.
    const std::string_view normal = Replacement(Node(index));
    if (normal.data() != nullptr) longest = {normal, i + 1};
  }
  if (longest.size > 0) return longest;
  const Utf8Scan scan = ScanUtf8(text);
  if (scan.kind != Utf8Scan::Kind::kCharacter) return {kReplacementCharacter, 1};
  return {text.substr(0, scan.length), scan.length};
}

}  // namespace lockstep
