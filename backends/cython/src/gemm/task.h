/* The tasks of a convolution by GEMM: a block of results from the strip to the output, all its
 * passes; and packing all weights beforehand. */
#ifndef CK_GEMM_TASK_H
#define CK_GEMM_TASK_H

#include "gemm/block.h"
#include "gemm/weights.h"

#define CK_TEMPLATE "gemm/task_tpl.h"
#include "simd/each_dtype.h"

#endif
