/* The shares of average pooling: the reciprocals of the divisors. */
#ifndef CK_POOL_SHARES_H
#define CK_POOL_SHARES_H

#include "simd/vector.h"

#define CK_TEMPLATE "pool/shares_tpl.h"
#include "simd/each_dtype.h"

#endif
