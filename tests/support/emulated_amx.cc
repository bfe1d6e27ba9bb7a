// core/kernels/x86/amx.cc with the tile unit in software.
#if defined(__x86_64__)

#include "tests/support/amx_emulation.h"
// The order matters: the emulation replaces what the file uses.
#include "core/kernels/x86/amx.cc"

#endif  // __x86_64__
