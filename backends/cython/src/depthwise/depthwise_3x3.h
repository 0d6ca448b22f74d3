/* Depthwise convolution with 3x3 windows, stride 1 or 2, one filter for each channel, directly from
 * the image; forward and backward to x.
 *
 * Most depthwise layers are this, and compute so little that copying a plane into a strip takes
 * longer. So padding is not stored but masked out of the loads, and a few rows of results are
 * summed at a time, to load each row of pixels once for all of them.
 *
 * A row is cut into blocks of VL pixels. With stride 2 a block's lanes are pixels too: every second
 * one is a result. Blocks go from the last to the first, rows downwards, because a row's last block
 * is stored whole: what it writes past its end, the first block of the next row overwrites. */
#ifndef CK_DEPTHWISE_DEPTHWISE_3X3_H
#define CK_DEPTHWISE_DEPTHWISE_3X3_H

#include "isa/declarations.h"
#include "pool/pool.h"
#include "strip/strip.h"

enum { ROWS_AT_ONCE = 4 };

/* `run` with the number of rows, at most ROWS_AT_ONCE, known to the compiler. */
#define BY_ROWS(rows, run) \
    switch (rows) { \
    case 1: run(1); break; \
    case 2: run(2); break; \
    case 3: run(3); break; \
    default: run(4); break; \
    }

#define CK_TEMPLATE "depthwise/depthwise_3x3_tpl.h"
#include "simd/each_dtype.h"

#endif
