// A text so many times, one after the other.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep {

inline std::string Repeated(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace lockstep
