/* Depthwise convolution: each channel by itself, with one or more filters for each (the channel
 * multiplier), over the strips of strip/planes.h. Padding is 0 in the strips; if its
 * product with an infinite dout makes dw NaN, the direct kernel computes dw. */
#ifndef CK_DEPTHWISE_DEPTHWISE_H
#define CK_DEPTHWISE_DEPTHWISE_H

#include <stdlib.h>
#include <string.h>

#include "depthwise/finite.h"
#include "isa/declarations.h"
#include "strip/planes.h"

typedef struct {
    plane_job j; /* its planes are those of x */
    ck_pool window;
    idx channels, many; /* many: the channel multiplier */
    const void *w, *b, *dout;
    int relu;
} depthwise_job;

/* The windows of a convolution as those of a pooling. */
CK_LOCAL ck_pool windows_of(const ck_conv *g)
{
    return (ck_pool){.planes = g->n * g->c, .window = g->window};
}

#define CK_TEMPLATE "depthwise/depthwise_tpl.h"
#include "simd/each_dtype.h"

#endif
