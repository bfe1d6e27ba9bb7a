// The one list of routes: path, method, what answers, what that needs, and on which threads.
// Constant, so safe from any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/api/route.h"

namespace lockstep {

std::span<const Route> AllRoutes();
// nullptr where there is none. The method is not looked at.
const Route* FindRoute(std::string_view path);
// What a client is told that asks for a path without a route: the nearest one.
std::string NoSuchRoute(std::string_view path);
// For the HTTP server, which chooses the thread.
bool IsControlPath(std::string_view path);

}  // namespace lockstep
