// A client of another server of ours on this machine, for a process that hands requests on to it:
// the reply goes on as it came, a stream as its bytes come. Safe from any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "server/http/http_types.h"

namespace lockstep {

struct UpstreamRequest {
  std::string method, target;  // "/path?query"
  HttpHeaders headers;         // but for those of the connection and of the body's length
  std::string_view body;       // read before AskUpstream returns
};

// Sends the request to 127.0.0.1 and blocks until the reply is there, or of a streamed one the
// head: its `next` reads on, no faster than it is called, and ends with kAbort where the other
// server breaks off. Looks every 50 ms whether the client has gone, and then closes the connection,
// which cancels the request over there. kUnavailable: there was no whole reply, or no head of a
// streamed one. kCancelled: the client has gone. `gone` is called as long as the reply lives.
[[nodiscard]] Result<HttpReply> AskUpstream(int port, const UpstreamRequest& request,
                                            const std::function<bool()>& gone);

// The headers of a request that are for the server and not for the connection it came on.
HttpHeaders EndToEndHeaders(const HttpHeaders& headers);

}  // namespace lockstep
