/* Depthwise convolution with 3x3 windows. */
#include "simd/base.h"

#if CK_MASKED_LOADS
#include "depthwise/depthwise_3x3_dw.h"
#endif
