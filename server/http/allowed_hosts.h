// Which names a server that anybody on this machine may use answers to. Against DNS rebinding: a
// web page gives its own name the address 127.0.0.1, and the visitor's browser then lets the page's
// script talk to the server as to its own. The browser still sends the page's name as Host. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// Whether the value of a Host header is a name or address of the loopback interface, or one of
// `others`, each with any port or none; "*" among them is any name.
bool IsAllowedHost(std::string_view host, const std::vector<std::string>& others);

}  // namespace lockstep
