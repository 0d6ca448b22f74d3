/* dw of deep layers: dout as it is in memory and x from the strip are transposed to panels for the
 * register tiles. */
#ifndef CK_CONV_DW_GEMM_H
#define CK_CONV_DW_GEMM_H

#include "conv/dw_job.h"

#define CK_TEMPLATE "conv/dw_gemm_tpl.h"
#include "simd/each_dtype.h"

#endif
