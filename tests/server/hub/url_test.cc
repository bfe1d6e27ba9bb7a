#include "server/hub/url.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Url, IsReadAndWritten) {
  const struct {
    const char *text, *origin, *path, *query;
  } cases[] = {
      {"https://huggingface.co", "https://huggingface.co", "/", ""},
      {"HTTPS://HuggingFace.co:443/a/B", "https://huggingface.co", "/a/B", ""},
      {"http://h:80/x?y=1#z", "http://h", "/x", "?y=1"},
      {"https://h:80?y=%2F+~", "https://h:80", "/", "?y=%2F+~"},
      {"http://[::1]:8080/a b\"\n", "http://[::1]:8080", "/a%20b%22%0A", ""},
      {"https://h/#?x", "https://h", "/", ""},
  };
  for (const auto& c : cases) {
    const auto url = ParseUrl(c.text);
    ASSERT_TRUE(url.has_value()) << c.text;
    EXPECT_EQ(url->Origin(), c.origin) << c.text;
    EXPECT_EQ(url->path, c.path) << c.text;
    EXPECT_EQ(url->query, c.query) << c.text;
    EXPECT_EQ(url->Text(), std::string(c.origin) + c.path + c.query);
  }
}

TEST(Url, RefusesWhatIsNone) {
  for (const char* text :
       {"", "h/x", "ftp://h", "file:///etc/passwd", "https://", "https://:80/", "https://u:p@h/",
        "https://h:0/", "https://h:65536/", "https://h:x/", "https://h:/", "https://[::1/",
        "https://a b/", "https://a\r\nX: y/", "https://h\\@i/"}) {
    const auto url = ParseUrl(text);
    ASSERT_FALSE(url.has_value()) << text;
    EXPECT_EQ(url.error().kind, ErrorKind::kInvalidArgument);
  }
  // A password is not shown.
  EXPECT_EQ(ParseUrl("https://u:secret@h/").error().message.find("secret"), std::string::npos);
}

TEST(Url, LocationsAreResolved) {
  const Url base = *ParseUrl("https://h/a/b?q=1");
  const std::pair<const char*, const char*> cases[] = {
      {"/c?d#e", "https://h/c?d"},          {"c", "https://h/a/c"},
      {"?x=2", "https://h/a/b?x=2"},        {"//i:81/c", "https://i:81/c"},
      {"http://i/c", "http://i/c"},         {"c?u=http://x:1/", "https://h/a/c?u=http://x:1/"},
      {"/s?a=%2F+b", "https://h/s?a=%2F+b"}};
  for (const auto& [location, meant] : cases) {
    const auto url = ResolveUrl(base, location);
    ASSERT_TRUE(url.has_value()) << location;
    EXPECT_EQ(url->Text(), meant);
  }
  EXPECT_FALSE(ResolveUrl(base, "javascript:x").has_value());
}

TEST(Url, PathsAreEncoded) {
  EXPECT_EQ(EncodePath("a b/\xc3\xbc?#%.gguf"), "a%20b/%C3%BC%3F%23%25.gguf");
}

}  // namespace
}  // namespace lockstep
