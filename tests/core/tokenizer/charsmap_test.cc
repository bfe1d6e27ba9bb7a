#include "core/tokenizer/charsmap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_builder.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// A charsmap with one text, whose replacement is `normal`: the root at 0, which leads to 256, the
// nodes of the text's bytes 256 apart, and its leaf behind the last of them.
std::string MapOf(std::string_view text, std::string_view normal) {
  std::vector<uint32_t> nodes(256 * (text.size() + 2));
  nodes[0] = 256u << 10;
  uint32_t index = 256;
  for (const char& c : text) {
    const uint8_t byte = static_cast<uint8_t>(c);
    const uint32_t next = index + 256, here = index ^ byte;
    nodes[here] = (here ^ next) << 10 | byte;
    if (&c == &text.back()) nodes[here] |= 1u << 8;
    index = next;
  }
  nodes[index] = 1u << 31;  // the replacement at 0
  std::string bytes = LittleEndian<uint32_t>(static_cast<uint32_t>(nodes.size() * 4));
  for (const uint32_t node : nodes) bytes += LittleEndian(node);
  return bytes.append(normal) + std::string(1, '\0');
}

std::string ErrorOf(const std::string& map, Charsmap* made = nullptr) {
  GgufBuilder builder;
  builder.SetArray("tokenizer.ggml.precompiled_charsmap", 0, map.size(), map);
  const std::vector<uint8_t> bytes = builder.Build();
  const auto file = GgufFile::Parse(bytes, "map.gguf");
  EXPECT_TRUE(file);
  auto created = Charsmap::Create(*file);
  if (!created) return created.error().message;
  if (made != nullptr) *made = *std::move(created);
  return "";
}

TEST(Charsmap, TakesTheLongestTextOrACharacter) {
  Charsmap map;
  ASSERT_EQ(ErrorOf(MapOf("ab", "xyz"), &map), "");
  EXPECT_EQ(map.Next("abc").normal, "xyz");
  EXPECT_EQ(map.Next("abc").size, 2u);
  EXPECT_EQ(map.Next("ac").normal, "a");
  EXPECT_EQ(map.Next("éa").normal, "é");
  EXPECT_EQ(map.Next("\xFF").normal, "\xEF\xBF\xBD");
}

TEST(Charsmap, RefusesAMapByWhichTextGrowsWithoutBounds) {
  for (const size_t size : {1, 2, 3, 4}) {
    const std::string text(size, 'a');
    EXPECT_EQ(ErrorOf(MapOf(text, std::string(16 * size, 'x'))), "") << size;
    EXPECT_THAT(ErrorOf(MapOf(text, std::string(16 * size + 1, 'x'))),
                HasSubstr("makes text more than 16 times as long"))
        << size;
  }
}

}  // namespace
}  // namespace lockstep
