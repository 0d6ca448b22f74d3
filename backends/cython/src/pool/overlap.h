/* Windows that overlap downwards, stride 1 or 2 along the rows, read directly from the image.
 *
 * A window is separated: first every row of pixels is reduced along the row, then those rows down
 * the windows. So a row is reduced once for all windows that share it. With stride 2 a vector's
 * lanes are pixels, every second of which begins a window. */
#ifndef CK_POOL_OVERLAP_H
#define CK_POOL_OVERLAP_H

#include "kernels.h"
#include "pool/pool.h"
#include "strip/strip.h"

/* `run` with the number of taps along the row known to the compiler. */
#define BY_TAPS_ACROSS(taps, stride, run) \
    switch (taps) { \
    case 2: run(2, stride); break; \
    case 3: run(3, stride); break; \
    default: run(4, stride); break; \
    }
enum { REDUCED_BYTES = 24 << 10 };

/* A chunk, and the source's rows [y0, y1) that it reads. */
typedef struct {
    idx plane, first, rows, y0, y1;
} overlap_chunk;

#define CK_TEMPLATE "pool/overlap_tpl.h"
#include "simd/each_dtype.h"

#endif
