/* Sums over a run of contiguous values, in float64. */
#ifndef CK_NORM_SUMS_H
#define CK_NORM_SUMS_H

#include "norm/norm.h"
#include "simd/bits.h"
#include "simd/vector.h"

/* A vector of doubles, whatever REAL is. */
#define WIDE CK_PASTE(vec, f64, CK_ISA)
#define WIDE_VECTOR CK_PASTE(vecu, f64, CK_ISA) /* at any address */
#define WIDE_LANES ((idx)(CK_VECTOR_BYTES / 8))
#define WIDE_FN(name) CK_PASTE(name, f64, CK_ISA)
enum { CHAINS = 4 }; /* sums that are taken side by side, to hide the latency of an addition */

#define CK_TEMPLATE "norm/sums_tpl.h"
#include "simd/each_dtype.h"

#endif
