// The page at /: one file of HTML, made by server/page/build and embedded. Immutable, so safe from
// any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/http/http_types.h"

namespace lockstep {

class Page {
 public:
  // `policy` is the Content-Security-Policy that names the page's own script and style. Both must
  // outlive it; no html: this build has no page.
  Page(std::string_view html, std::string_view policy);
  // The one of this build.
  static const Page& Embedded();

  bool empty() const { return html_.empty(); }
  // The reply to GET and HEAD of /; nothing to any other request.
  std::optional<HttpReply> Answer(const HttpRequest& request) const;

 private:
  HttpReply Whole(const HttpRequest& request) const;

  const std::string_view html_;
  const std::string policy_;
  const std::string etag_;
};

}  // namespace lockstep
