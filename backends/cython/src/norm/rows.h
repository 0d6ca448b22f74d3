/* Batch and group normalisation of planes of many pixels: every row has one scale and shift.
 *
 * A group that fits L2 is summed and normalised by one task, so that it is read from memory once.
 * Larger ones are summed by all threads, then normalised by all. So are the channels of a batch,
 * whose rows lie so far apart that they evict each other from a set-associative cache. */
#ifndef CK_NORM_ROWS_H
#define CK_NORM_ROWS_H

#include "norm/affine.h"
#include "norm/channels.h"
#include "norm/sums.h"

#define CK_TEMPLATE "norm/rows_tpl.h"
#include "simd/each_dtype.h"

#endif
