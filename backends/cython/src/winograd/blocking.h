/* The kernels of Winograd's convolution: cutting it into blocks and tasks, by the shape alone. If
 * weights are few (CK_PRETRANSFORM_BYTES), they are transformed once and a task is a block of
 * tiles. If they are many, they are transformed block by block as they are used, and tasks are
 * blocks of filters, which share the transformed pixels. */
#ifndef CK_WINOGRAD_BLOCKING_H
#define CK_WINOGRAD_BLOCKING_H

#include <stdlib.h>

#include "isa/declarations.h"
#include "winograd/winograd.h"

enum {
    OWN_POINTS_BYTES = 640 << 10,     /* a task's transformed pixels */
    SHARED_POINTS_BYTES = 2560 << 10, /* those all tasks share, plus a tenth of the arrays … */
    MOST_SHARED_BYTES = 4 << 20,      /* … but no more than this */
    WEIGHT_BYTES = 384 << 10,         /* a task's transformed weights, otherwise */
    PRODUCT_BYTES = 256 << 10,        /* and its products */
};

#define CK_TEMPLATE "winograd/blocking_tpl.h"
#include "simd/each_dtype.h"

#endif
