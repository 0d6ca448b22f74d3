/* The same, backward to w. A vector of sums for each tap is kept over all images, and one of the
 * gradients alone, which is that of the bias. */
#ifndef CK_DEPTHWISE_DEPTHWISE_3X3_DW_H
#define CK_DEPTHWISE_DEPTHWISE_3X3_DW_H

#include "depthwise/depthwise_3x3.h"
#include "depthwise/finite.h"

#define CK_TEMPLATE "depthwise/depthwise_3x3_dw_tpl.h"
#include "simd/each_dtype.h"

#endif
