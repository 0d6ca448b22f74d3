/* Runs the register tiles over a block of results: one pass, one chunk of pixels, one block of
 * channels. */
#ifndef CK_GEMM_BLOCK_H
#define CK_GEMM_BLOCK_H

#include "gemm/job.h"
#include "simd/gather.h"

#define CK_TEMPLATE "gemm/block_tpl.h"
#include "simd/each_dtype.h"

#endif
