// What a request and its answers are, in 32 bytes each: equal digests stand for equal requests, on
// any replica and in any year. Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/json/json_text.h"

namespace lockstep {

// The digest of the route and the body. The order of keys, spaces, null fields and how a whole
// number is written (8.0) make no difference, nor does the top field "prediction", which changes no
// answer.
std::string RequestDigest(std::string_view path, const Json& body);

// The digest of lists of tokens: the prompts of a request, or the answers.
std::string TokensDigest(std::span<const std::vector<int32_t>> lists);

}  // namespace lockstep
