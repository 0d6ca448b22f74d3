/* What is done to each value of a run once its set's sums are known. */
#ifndef CK_NORM_AFFINE_H
#define CK_NORM_AFFINE_H

#include "norm/norm.h"
#include "simd/bits.h"
#include "simd/vector.h"

enum { NO_RELU = 0, RELU = 1, RELU_BITS = 2 }; /* what follows the sum; its bits are kept, too */

#define CK_TEMPLATE "norm/affine_tpl.h"
#include "simd/each_dtype.h"

#endif
