// Bodies in gzip's form, for clients that ask for it. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "server/http/http_types.h"

namespace lockstep {

// Whether the client takes gzip, as its Accept-Encoding says (RFC 9110, 12.5.3).
bool AcceptsGzip(const HttpHeaders& headers);
// The bytes in gzip's form (RFC 1952), compressed quickly and not much.
std::string Gzip(std::string_view bytes);
// The reply with its body in gzip's form, where the client takes it. REQUIRES: it is no stream.
HttpReply Compressed(HttpReply reply, const HttpHeaders& request_headers);

}  // namespace lockstep
