/* Packing weights for the register tiles: panels of [k][filters]. */
#ifndef CK_GEMM_WEIGHTS_H
#define CK_GEMM_WEIGHTS_H

#include "gemm/job.h"
#include "simd/transpose.h"

/* Where the weights of a summed channel begin in their group's. */
CK_LOCAL idx channel_weights(const gemm_job *j, idx c)
{
    idx channel = quotient(c, j->depth.taps);
    return channel * j->wc + j->depth.weight[c - channel * j->depth.taps];
}

#define CK_TEMPLATE "gemm/weights_tpl.h"
#include "simd/each_dtype.h"

#endif
