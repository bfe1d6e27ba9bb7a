// What a person may write for an address to listen on, a page's origin and a name in Host. Each
// takes what is meant, writes it as it is compared, and is empty, or what is wrong. Pure, safe from
// any thread.
#pragma once

#include <string>

namespace lockstep {

// A host's name or number; the brackets around an IPv6 address go.
std::string TakeAddress(std::string& host);
// scheme://host or scheme://host:port as browsers send it (RFC 6454), "null" or "*": in small
// letters, without the slash behind it and the port that goes without saying.
std::string TakeOrigin(std::string& origin);
// A host's name or number, with or without a port, or "*".
std::string CheckHostName(const std::string& host);

}  // namespace lockstep
