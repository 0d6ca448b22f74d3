/* One bit for each lane: which lanes are above 0, and those lanes alone. */
#ifndef CK_SIMD_BITS_H
#define CK_SIMD_BITS_H

#include <string.h>

#include "simd/vector.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define LANE_BIT(s, l) (1 << (l))

#define CK_TEMPLATE "simd/bits_tpl.h"
#include "simd/each_dtype.h"

#endif
