/* Convolution forward as an implicit GEMM over strips: [filters][channels * taps] by
 * [channels * taps][pixels], whose right side is never stored as a whole. */
#ifndef CK_CONV_FORWARD_H
#define CK_CONV_FORWARD_H

#include "isa/declarations.h"
#include "gemm/blocking.h"
#include "gemm/gapless.h"

#define CK_TEMPLATE "conv/forward_tpl.h"
#include "simd/each_dtype.h"

#endif
