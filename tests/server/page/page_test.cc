#include "server/page/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "server/http/gzip.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr char kHtml[] = "<!doctype html>";
const Page kPage(kHtml, "default-src 'none'\n");

HttpRequest Get(const std::string& path, HttpHeaders headers = {}) {
  HttpRequest request;
  request.method = "GET";
  request.path = path;
  request.headers = std::move(headers);
  return request;
}

TEST(PageTest, AnswersGetAndHeadOfTheRootAlone) {
  const std::tuple<const char*, const char*, bool> cases[] = {
      {"GET", "/", true},       {"HEAD", "/", true}, {"POST", "/", false},
      {"GET", "/index", false}, {"GET", "", false},  {"GET", "//", false},
  };
  for (const auto& [method, path, answers] : cases) {
    SCOPED_TRACE(std::string(method) + " " + path);
    HttpRequest request = Get(path);
    request.method = method;
    const auto reply = kPage.Answer(request);
    ASSERT_EQ(reply.has_value(), answers);
    if (!answers) continue;
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->content_type, "text/html; charset=utf-8");
    EXPECT_EQ(reply->body, kHtml);  // HEAD's is left out by the HTTP library
    EXPECT_EQ(FindHeader(reply->headers, "Content-Security-Policy"), "default-src 'none'");
    EXPECT_EQ(FindHeader(reply->headers, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(FindHeader(reply->headers, "X-Frame-Options"), "DENY");
    EXPECT_EQ(FindHeader(reply->headers, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(FindHeader(reply->headers, "Cache-Control"), "no-cache");
  }
}

TEST(PageTest, IsSentAgainOnlyWhenItChanged) {
  const auto etag = [](const Page& page) {
    return std::string(FindHeader(page.Answer(Get("/"))->headers, "ETag"));
  };
  const std::string tag = etag(kPage);
  EXPECT_EQ(tag.size(), 34u);
  EXPECT_EQ(tag, etag(Page(kHtml, "another policy")));
  const std::string other = etag(Page("<p>", ""));
  EXPECT_NE(tag, other);

  const std::pair<std::string, int> cases[] = {
      {"", 200}, {other, 200}, {tag, 304}, {"W/" + tag, 304}, {other + ", " + tag, 304}, {"*", 304},
  };
  for (const auto& [sent, status] : cases) {
    SCOPED_TRACE(sent);
    const auto reply = kPage.Answer(Get("/", {{"if-none-match", sent}}));
    EXPECT_EQ(reply->status, status);
    EXPECT_EQ(reply->body, status == 304 ? "" : kHtml);
    EXPECT_EQ(FindHeader(reply->headers, "ETag"), tag);
  }
}

TEST(PageTest, IsCompressedForWhoTakesIt) {
  const HttpHeaders takes = {{"Accept-Encoding", "gzip, br"}};
  const auto reply = kPage.Answer(Get("/", takes));
  EXPECT_EQ(reply->body, Gzip(kHtml));
  EXPECT_EQ(FindHeader(reply->headers, "Content-Encoding"), "gzip");
  const std::string tag(FindHeader(reply->headers, "ETag"));
  // Other bytes of the same page: its tag is a weak one.
  EXPECT_EQ(tag, "W/" + std::string(FindHeader(kPage.Answer(Get("/"))->headers, "ETag")));
  const auto again = kPage.Answer(Get("/", {{"Accept-Encoding", "gzip"}, {"If-None-Match", tag}}));
  EXPECT_EQ(again->status, 304);
  EXPECT_EQ(again->body, "");
  EXPECT_EQ(FindHeader(again->headers, "Content-Encoding"), "");
}

TEST(PageTest, ABuildWithoutItSaysSo) {
  const auto reply = Page("", "").Answer(Get("/"));
  EXPECT_EQ(reply->status, 404);
  EXPECT_THAT(reply->body, HasSubstr("this build has no page"));
}

TEST(PageTest, NeedsNeitherKeyNorModel) {
  ApiSettings settings;
  settings.keys = *ApiKeys::Load({"secret"}, "");
  const Router loading(std::move(settings));
  EXPECT_EQ(loading.Handle(Get("/v1/models")).status, 401);
  const HttpReply reply = loading.Handle(Get("/", {{"Accept", "text/html,*/*;q=0.8"}}));
  EXPECT_EQ(reply.status, Page::Embedded().empty() ? 404 : 200);
  EXPECT_EQ(reply.record->route, "/");
  if (Page::Embedded().empty()) return;
  EXPECT_THAT(reply.body, HasSubstr("</html>"));
  EXPECT_THAT(std::string(FindHeader(reply.headers, "Content-Security-Policy")),
              testing::MatchesRegex("default-src 'none'; script-src 'sha256-[^']*'; .*"));
}

}  // namespace
}  // namespace lockstep
