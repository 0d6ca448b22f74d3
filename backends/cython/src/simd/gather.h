/* Vectors of pixels that run on over rows and images. They are assembled in registers from the runs
 * they consist of, so that no pixel outside of these is read. */
#ifndef CK_SIMD_GATHER_H
#define CK_SIMD_GATHER_H

#include "simd/vector.h"

/* `run` with the number of runs known to the compiler; see runs_of. */
#define BY_RUNS(pixels, run) \
    switch (FN(runs_of)(pixels)) { \
    case 0: run(0); break; \
    case 1: run(1); break; \
    case 2: run(2); break; \
    default: run(3); break; \
    }

#define CK_TEMPLATE "simd/gather_tpl.h"
#include "simd/each_dtype.h"

#endif
