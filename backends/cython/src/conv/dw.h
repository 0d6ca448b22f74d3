/* The kernels of dw: dot tiles or register tiles, over a strip or in place. */
#ifndef CK_CONV_DW_H
#define CK_CONV_DW_H

#include <stdlib.h>
#include <string.h>

#include "conv/dw_blocking.h"
#include "conv/dw_dot.h"
#include "conv/dw_gemm.h"
#include "gemm/gapless.h"
#include "isa/declarations.h"

#define CK_TEMPLATE "conv/dw_tpl.h"
#include "simd/each_dtype.h"

#endif
