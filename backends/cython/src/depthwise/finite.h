/* When the direct kernel must compute dw of a depthwise convolution. */
#ifndef CK_DEPTHWISE_FINITE_H
#define CK_DEPTHWISE_FINITE_H

#include <math.h>

#include "simd/base.h"

#define CK_TEMPLATE "depthwise/finite_tpl.h"
#include "simd/each_dtype.h"

#endif
