// One GET with its redirects, for files of any size. Blocking; safe from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "server/hub/url.h"

namespace lockstep {

struct HttpGet {
  Url url;
  std::string token;  // goes to the origin of `url` alone, wherever a redirect points; may be empty
  std::vector<std::pair<std::string, std::string>> headers;
  std::string authorities;  // a file of certificates to trust instead of the system's, or empty
};

// The head of the last answer; what begins with `linked` may be of a redirect before it, where a
// hub says what the file is that another server sends.
struct ReplyHead {
  int status = 0;
  std::string etag;         // as it was sent, in quotes
  std::string linked_etag;  // X-Linked-Etag
  std::string range;        // Content-Range
  std::string retry_after;  // Retry-After
  std::string error;        // X-Error-Message
  std::string encoding;     // Content-Encoding, but for identity
  std::optional<uint64_t> length;
  bool chunked = false;
};

// Gives each answer that is no redirect to `begin`, and then its body in pieces to `take`; either
// returns false to hear no more, which is no error. kUnavailable where another try may succeed: the
// connection failed or broke off. kInvalidArgument where none will: a certificate that is not
// trusted, too many redirects, one from https to http. kBadFile for a body that is compressed.
[[nodiscard]] Result<ReplyHead> Get(const HttpGet& request,
                                    const std::function<bool(const ReplyHead&)>& begin,
                                    const std::function<bool(std::string_view)>& take);

// The body is told whole, and cut after `most` bytes.
struct WholeReply {
  ReplyHead head;
  std::string body;
};
[[nodiscard]] Result<WholeReply> GetWhole(const HttpGet& request, size_t most);

}  // namespace lockstep
