// What the terminal behind a descriptor can show. Where it cannot, and where there is none, text is
// written as it is. For any thread, as long as none changes the environment.
#pragma once

namespace lockstep {

// Whether it moves and wipes by escape sequences, which TERM=dumb and an empty TERM deny.
bool TakesSequences(int descriptor);
// Whether text may have colours and weights, too, which NO_COLOR (no-color.org) denies.
bool TakesStyles(int descriptor);

}  // namespace lockstep
