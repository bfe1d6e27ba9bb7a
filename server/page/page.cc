// The page is part of the binary, so that it fits the server that it talks to, and reads nothing
// from a disk. Its Content-Security-Policy names the hashes of its own script and style: text of a
// model that the page should ever show as HTML could run nothing.
#include "server/page/page.h"

#include <utility>

#include "core/base/digest.h"
#include "server/http/error_reply.h"
#include "server/http/gzip.h"

extern "C" {
extern const char lockstep_page_html[], lockstep_page_html_end[];
extern const char lockstep_page_policy[], lockstep_page_policy_end[];
}

namespace lockstep {
namespace {

constexpr char kNoPage[] =
    "this build has no page: configure with LOCKSTEP_PAGE=ON for one, or POST to /generate";

// A hash of the content, so that it is the same on every server that has the same page.
std::string EntityTag(std::string_view content) {
  Digest digest;
  digest.Add(content);
  return '"' + Hex(digest.Bytes().substr(0, 16)) + '"';
}

std::string_view TrimLine(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  return TrimSpaces(line);
}

// If-None-Match is a list of tags or *. A proxy may have made ours a weak one, W/"...".
bool Matches(std::string_view list, std::string_view etag) {
  return TrimSpaces(list) == "*" || list.find(etag) != list.npos;
}

}  // namespace

Page::Page(std::string_view html, std::string_view policy)
    : html_(html), policy_(TrimLine(policy)), etag_(EntityTag(html)) {}

const Page& Page::Embedded() {
  static const Page kPage({lockstep_page_html, lockstep_page_html_end},
                          {lockstep_page_policy, lockstep_page_policy_end});
  return kPage;
}

HttpReply Page::Whole(const HttpRequest& request) const {
  HttpReply reply;
  reply.content_type = "text/html; charset=utf-8";
  reply.headers = {{"Content-Security-Policy", policy_},
                   {"X-Content-Type-Options", "nosniff"},
                   {"X-Frame-Options", "DENY"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cross-Origin-Opener-Policy", "same-origin"},
                   {"Cross-Origin-Resource-Policy", "same-origin"},
                   {"ETag", AcceptsGzip(request.headers) ? "W/" + etag_ : etag_},
                   {"Vary", "Accept"},              // who wants no HTML gets a line of text
                   {"Cache-Control", "no-cache"}};  // kept, but asked for again: a 304 is small
  if (!Matches(FindHeader(request.headers, "If-None-Match"), etag_)) {
    reply.body = html_;
    return Compressed(std::move(reply), request.headers);
  }
  reply.status = 304;
  reply.headers.emplace_back("Vary", "Accept-Encoding");
  return reply;
}

std::optional<HttpReply> Page::Answer(const HttpRequest& request) const {
  if (request.path != "/" || (request.method != "GET" && request.method != "HEAD")) {
    return std::nullopt;
  }
  HttpReply reply = empty() ? ErrorReply(404, kNoPage) : Whole(request);
  reply.record->route = "/";
  return reply;
}

}  // namespace lockstep
