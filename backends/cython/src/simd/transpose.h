/* Transposes of VL x VL values in registers. */
#ifndef CK_SIMD_TRANSPOSE_H
#define CK_SIMD_TRANSPOSE_H

#include "simd/vector.h"

/* Lane l of the two results of exchanging bit s of the row with bit s of the lane. */
#define LOW_LANE(s, l) ((l) & (s) ? LANES + (l) - (s) : (l))
#define HIGH_LANE(s, l) ((l) & (s) ? LANES + (l) : (l) + (s))

#define CK_TEMPLATE "simd/transpose_tpl.h"
#include "simd/each_dtype.h"

#endif
