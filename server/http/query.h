// What stands behind the question mark of a URL. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

// "a=1&b=x%20y" as names and values, in their order and decoded. A name without a value has "".
std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query);

}  // namespace lockstep
