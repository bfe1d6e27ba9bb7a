// Python's two ways of formatting.
#pragma once

#include "core/jinja/interpreter.h"

namespace lockstep::jinja {

// format % arguments: a tuple's items, a dict's by name, or the one value. Characters of the format
// keep its trust and those of a text argument keep theirs; what is made of numbers counts as
// trusted, since only text has marks.
Value FormatPercent(Interpreter& run, const Text& format, const Value& arguments);
// format.format(*arguments.positional, **arguments.named)
Value FormatBraces(Interpreter& run, const Text& format, const Arguments& arguments);

}  // namespace lockstep::jinja
