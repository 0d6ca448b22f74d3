/* Convolution backward to x as an implicit GEMM: one stride-1 pass over dout for each of the
 * stride x stride phases of dx, with the weights of the taps that reach it, then interleaved. */
#ifndef CK_CONV_DX_H
#define CK_CONV_DX_H

#include "gemm/blocking.h"
#include "gemm/gapless.h"
#include "isa/declarations.h"

#define CK_TEMPLATE "conv/dx_tpl.h"
#include "simd/each_dtype.h"

#endif
