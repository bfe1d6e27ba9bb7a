// The one list of routes: path, method, what answers, what that needs, and on which threads.
// Constant, so safe from any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/api/route.h"

namespace lockstep {

std::span<const Route> AllRoutes();
// What a request's path has in the place of the route's star, nothing of it without one; nullopt
// where the route's path is another.
std::optional<std::string_view> PlaceIn(std::string_view path, std::string_view route);
// The first row with that path; nullptr where there is none. The method is not looked at.
const Route* FindRoute(std::string_view path);
// The row for the method where the path has one, else any of the path's.
const Route* FindRoute(std::string_view path, std::string_view method);
// The methods of all rows with that path, as the header Allow has them.
std::string AllowedMethods(std::string_view route);
// What a client is told that asks for a path without a route: the nearest one.
std::string NoSuchRoute(std::string_view path);
// For the HTTP server, which chooses the thread.
bool IsControlPath(std::string_view path);
bool IsScrapePath(std::string_view path);

}  // namespace lockstep
