// What somebody may have meant by a misspelt name. Pure functions, safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// How many letters must be inserted, removed, replaced, or swapped with their neighbour to make one
// word from the other.
size_t EditDistance(std::string_view a, std::string_view b);

// The name that is nearest to `word`, the first among equals; empty if none is so near that it was
// probably meant: more than a third of the word's letters differ.
std::string Nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace lockstep
