// exp, log, sin and cos in double, made of IEEE basic operations only, so that they give the same
// bits whatever the C library and the CPU. Errors are below 4e-15 relative to the result
// (sin, cos: absolute), far below what is left of them after rounding to float.
#pragma once

namespace lockstep {

double DetExp(double x);      // 0 below -708, saturates above 709, NaN for NaN
double DetSigmoid(double x);  // 1 / (1 + exp(-x))
double DetLog(double x);      // REQUIRES: x > 0, finite and normal
void DetSinCos(double x, double* sin, double* cos);  // REQUIRES: |x| <= 2^20

}  // namespace lockstep
