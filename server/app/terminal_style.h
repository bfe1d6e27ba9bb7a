// What the terminal behind a descriptor can show. Where it cannot, and where there is none, text is
// written as it is. For any thread, as long as none changes the environment.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

// Whether it moves and wipes by escape sequences, which TERM=dumb and an empty TERM deny.
bool TakesSequences(int descriptor);
// Whether text may have colours and weights, too, which NO_COLOR (no-color.org) denies.
bool TakesStyles(int descriptor);

// What a model, a file or a person wrote, for a terminal to show and never to obey: of control
// characters only line breaks and tabs stay, the others become their pictures, as U+241B for ESC.
std::string ForTerminal(std::string_view text);

}  // namespace lockstep
