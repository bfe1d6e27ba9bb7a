#include "server/http/media_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(MediaTypeTest, ReadsTypeAndParametersInAnyOrderAndQuoting) {
  const auto media = ParseMediaType(
      " Application/JSON ;; v=2 ;\tCharset=\"UTF-8\"; note=\"a;b \\\"c\\\"\" ;odata.metadata=min;");
  ASSERT_TRUE(media);
  EXPECT_EQ(media->type, "application/json");
  EXPECT_THAT(media->parameters,
              ElementsAre(Pair("v", "2"), Pair("charset", "UTF-8"), Pair("note", "a;b \"c\""),
                          Pair("odata.metadata", "min")));
}

TEST(MediaTypeTest, FindsACharsetWhereverItStands) {
  const std::pair<const char*, bool> cases[] = {
      {"application/json", true},
      {"application/json; charset=utf-8", true},
      {"application/json;charset=UTF8", true},
      {"application/json; charset=\"utf-8\"; v=2", true},
      {"application/json; v=2; charset=utf-8;", true},
      {"application/json; xcharset=latin1", true},
      {"application/json; charset=iso-8859-1", false},
      {"application/json; v=2; charset=iso-8859-1", false},
      {"application/json; charset=utf-8; charset=utf-16", false},
      {"application/json; v=\"; charset=utf-8\"; CHARSET=\"utf-16\"", false},
      {"application/json; charset=", false},
  };
  for (const auto& [value, utf8] : cases) {
    const auto media = ParseMediaType(value);
    ASSERT_TRUE(media) << value;
    EXPECT_EQ(media->IsUtf8(), utf8) << value;
  }
}

TEST(MediaTypeTest, RefusesWhatIsMalformed) {
  for (const char* value :
       {"", " ", "json", "application/", "/json", "application/json charset=utf-8",
        "application/json; charset", "application/json; =utf-8", "application/json; a=\"b",
        "application/json; a=\"b\\", "application/json, text/plain", "application /json"}) {
    EXPECT_FALSE(ParseMediaType(value)) << value;
  }
}

}  // namespace
}  // namespace lockstep
