// What stands behind the question mark of a URL, and escapes in it. Pure functions, safe from any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

// "a=1&b=x%20y" as names and values, in their order and decoded. A name without a value has "".
std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query);

// Each %XX as its byte, and each plus as `plus`; what is no escape stands for itself.
std::string PercentDecoded(std::string_view text, char plus = '+');

}  // namespace lockstep
